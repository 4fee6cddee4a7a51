"""A picture's file: what it says of itself, so that programs know that it is generated."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from xml.sax.saxutils import escape

from avatar.core.errors import UsageError
from avatar.core.frames import LabelledFrame
from avatar.core.outputs import write_output
from avatar.stages.label.metadata import AIGC_KEY, aigc_metadata

# IPTC's vocabulary: synthetic elements within what was photographed; no network was trained on it.
_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
_JPEG_QUALITY, _WEBP_QUALITY = 92, 90
# What the formats' headers can say: 14 bits (RFC 9649) and 16 bits (ITU-T T.81) less one.
_LONGEST_PX = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500}


def check_still_size(path: Path, size_px: tuple[int, int]) -> None:
    """Raise ``UsageError`` where a picture of (width, height) is too large for the file's kind."""
    longest = _LONGEST_PX.get(path.suffix.lower())
    if longest is not None and max(size_px) > longest:
        raise UsageError(
            f"expected at most {longest} pixels a side in a {path.suffix} file, found "
            f"{size_px[0]}×{size_px[1]}. Write {path.with_suffix('.png').name}, or fewer pictures"
        )


def write_still(frame: LabelledFrame, path: Path, producer: str) -> None:
    """Write a picture as its name says: ``.png``, ``.jpg``, ``.jpeg`` or ``.webp``.

    The same picture gives the same bytes. Raises ``UsageError`` where it is too large for the kind
    and ``SinkError`` when the disk does not take it.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    check_still_size(path, frame.image.shape[1::-1])
    said = aigc_metadata(producer, hashlib.sha256(frame.image.data).hexdigest()[:32])[AIGC_KEY]
    xmp = xmp_packet(producer, said)
    picture, data = Image.fromarray(frame.image), io.BytesIO()
    if path.suffix.lower() == ".png":
        text = PngInfo()
        text.add_itxt(AIGC_KEY, said)
        text.add_itxt("XML:com.adobe.xmp", xmp)
        picture.save(data, "PNG", pnginfo=text)
    elif path.suffix.lower() == ".webp":
        picture.save(data, "WEBP", quality=_WEBP_QUALITY, xmp=xmp.encode())
    else:
        picture.save(data, "JPEG", quality=_JPEG_QUALITY, xmp=xmp.encode(), subsampling=0)
    write_output(path, data.getvalue())


def xmp_packet(producer: str, aigc: str) -> str:
    """Return the packet (ISO 16684-1) with IPTC's source and the words of the AIGC label."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
        f"<Iptc4xmpExt:DigitalSourceType>{_SOURCE}</Iptc4xmpExt:DigitalSourceType>"
        f"<xmp:CreatorTool>{escape(producer)}</xmp:CreatorTool>"
        f"<TC260:AIGC>{escape(aigc)}</TC260:AIGC>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
