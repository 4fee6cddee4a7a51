"""Pictures of high dynamic range (PQ and HLG, BT.2020) as the sRGB that everything here works in.

Phones film so by default. Shown as they are, such pictures look washed out. Light is taken from
the signal (ITU-R BT.2100-2, tables 4 and 5), bright parts are brought into the range of a usual
screen (ITU-R BT.2390-11, section 5.4.1), colours into BT.709's primaries (ITU-R BT.2087-0) and all
into sRGB's signal (IEC 61966-2-1). White is 203 cd/m² (ITU-R BT.2408-7): it becomes nearly white.
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Float64 = NDArray[np.float64]
# ISO/IEC 23091-2: transfer characteristics, and the matrix of BT.2020.
PQ, HLG = 16, 18
_MATRIX_BT2020, _UNKNOWN = 9, 2
_POINTS = 33  # of the table along each colour, as is usual; between them is interpolated
_PEAK, _WHITE = 1000.0, 203.0  # cd/m²: what phones master for, and the reference white
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def is_hdr(frame: VideoFrame) -> bool:
    """Return whether a frame's signal is PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


class ToneMapper:
    """Makes standard pictures of frames with one size and one signal."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, int] | None = None
        self._graph: Any = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame as sRGB in ``gbrp10le``; its own side data stays with the old one."""
        if frame.colorspace == _UNKNOWN:
            frame.colorspace = _MATRIX_BT2020
        kind = frame.width, frame.height, frame.color_trc
        if kind != self._kind:
            self._graph, self._kind = _graph(*kind), kind
        signal = frame.reformat(format="gbrp10le")
        signal.pts = None
        self._graph.vpush(signal)
        mapped: VideoFrame = self._graph.vpull()
        return mapped


def _graph(width: int, height: int, transfer: int) -> Any:
    """Return a filter graph that looks every picture up in the table of ``transfer``."""
    import av

    graph = av.filter.Graph()
    with tempfile.TemporaryDirectory(prefix="avatar-") as folder:
        table = Path(folder) / "table.cube"
        table.write_text(cube(transfer))
        graph.link_nodes(
            graph.add_buffer(
                width=width,
                height=height,
                format=av.VideoFormat("gbrp10le"),
                time_base=Fraction(1, 1000),
            ),
            graph.add("lut3d", f"file={_quoted(table)}:interp=tetrahedral"),
            graph.add("buffersink"),
        ).configure()  # reads the table
    return graph


def _quoted(path: Path) -> str:
    """Return a path as an option of a filter: a colon would end it (Windows' C:)."""
    return path.as_posix().replace(":", r"\:").replace("'", r"\'")


@cache
def cube(transfer: int) -> str:
    """Return the table of a signal as a .cube file, the format of Adobe's specification 1.0."""
    axis = np.linspace(0, 1, _POINTS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red changes first
    signal = np.stack([red.ravel(), green.ravel(), blue.ravel()], axis=1)
    values = to_srgb(signal, transfer)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in values)
    return f"LUT_3D_SIZE {_POINTS}\n{rows}\n"


def to_srgb(signal: Float64, transfer: int) -> Float64:
    """Return sRGB values (N, 3), 0 to 1, of PQ's or HLG's BT.2020 signals (N, 3), 0 to 1."""
    light = pq_to_light(signal) if transfer == PQ else _hlg_to_light(signal)
    brightest = light.max(axis=1, keepdims=True)
    light = light * (_rolled_off(brightest) / np.maximum(brightest, 1e-6))
    linear = np.clip(light / _WHITE @ _BT2020_TO_BT709.T, 0, 1)
    curved = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, curved), np.float64)


def pq_to_light(signal: Float64) -> Float64:
    """Return cd/m² of PQ's signal, 0 to 1 (BT.2100-2, table 4)."""
    power = np.clip(signal, 0, 1) ** (1 / _M2)
    return np.asarray(
        10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1), np.float64
    )


def light_to_pq(light: Float64) -> Float64:
    """Return PQ's signal, 0 to 1, of cd/m² (BT.2100-2, table 4)."""
    power = np.clip(light / 10_000, 0, 1) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2, np.float64)


def _hlg_to_light(signal: Float64) -> Float64:
    """Return cd/m² of HLG's signal on a screen of 1000 cd/m² (BT.2100-2, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = np.maximum(scene @ _BT2020_LUMINANCE, 1e-6)[:, None]
    return np.asarray(_PEAK * luminance**0.2 * scene, np.float64)


def _rolled_off(light: Float64) -> Float64:
    """Return cd/m² up to reference white of light up to the peak: BT.2390's curve (EETF).

    Below its knee nothing changes; faces are there.
    """
    peak = float(light_to_pq(np.array(_PEAK)))
    most = float(light_to_pq(np.array(_WHITE))) / peak
    knee = 1.5 * most - 0.5
    given = np.clip(light_to_pq(light) / peak, 0, 1)
    t = np.clip((given - knee) / (1 - knee), 0, 1)
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * most
    )
    return pq_to_light(np.where(given < knee, given, curve) * peak)
