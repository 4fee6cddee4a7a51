"""A certificate of the user's own, for listening beyond this machine (the library cryptography)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.files import private_folder, write_whole
from avatar.web.server import Tls

# Browsers refuse certificates that hold for longer than 398 days.
_DAYS, _RENEW_BEFORE_DAYS = 397, 30


def own_certificate(folder: Path, names: Sequence[str]) -> tuple[Tls, str]:
    """Return a self-signed certificate for ``names`` and its SHA-256 fingerprint.

    The one in ``folder`` while it holds for all names and for another month, and its key is whole
    and fits; else a new pair takes its place. The key can be read by the user alone. Raises
    ``UsageError`` when the folder refuses.
    """
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    try:
        found = _read(tls, names)
        if found is None:
            private_folder(folder)
            found = _make(tls, names)
    except OSError as error:
        raise UsageError(
            f"the certificate in {folder} cannot be read or kept: {error.strerror or error}. "
            "Check the folder's permissions."
        ) from error
    return tls, _fingerprint(found)


def _read(tls: Tls, names: Sequence[str]) -> Any:
    from cryptography import x509

    if not (tls.certificate.is_file() and tls.key.is_file()):
        return None
    try:
        found = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    known = {str(entry.value) for entry in held}
    until = found.not_valid_after_utc - timedelta(days=_RENEW_BEFORE_DAYS)
    is_fit = set(names) <= known and datetime.now(UTC) < until and _is_pair(found, tls.key)
    return found if is_fit else None


def _is_pair(certificate: Any, key: Path) -> bool:
    """Return whether a key is whole, this certificate's, and was read by nobody else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if os.name == "posix" and key.stat().st_mode & 0o077:
        return False
    try:
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return bool(secret.public_key() == certificate.public_key())


def _make(tls: Tls, names: Sequence[str]) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webcam-avatar on this machine")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_whole(tls.key, secret)
    write_whole(tls.certificate, made.public_bytes(serialization.Encoding.PEM))
    return made


def _name(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fingerprint(certificate: Any) -> str:
    from cryptography.hazmat.primitives import hashes

    return ":".join(f"{byte:02X}" for byte in certificate.fingerprint(hashes.SHA256()))
