"""Where the server listens, with which certificate and which lasting token."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from avatar.core.errors import UsageError
from avatar.web.certificates import own_certificate
from avatar.web.listening import place_at
from avatar.web.tokens import lasting_token, new_token


def test_loopback_is_reached_by_its_names_alone() -> None:
    place = place_at("127.0.0.1")
    assert not place.beyond
    assert place.addresses == ("127.0.0.1",)
    assert place.hosts(8765) == {"127.0.0.1:8765", "localhost:8765"}
    assert place.hosts(80) == {"127.0.0.1", "localhost"}, "browsers leave the usual port out"
    assert place_at("::1").hosts(8765) == {"[::1]:8765", "localhost:8765"}


def test_an_address_beyond_is_the_only_one_offered() -> None:
    place = place_at("192.0.2.7")
    assert place.beyond
    assert place.addresses == ("192.0.2.7",)
    assert "192.0.2.7:8765" in place.hosts(8765)
    assert "192.0.2.7" in place.hosts(443)
    assert "127.0.0.1:8765" not in place.hosts(8765)


def test_all_addresses_are_those_of_this_machine() -> None:
    try:
        place = place_at("0.0.0.0")
    except UsageError as error:
        assert "no address but its own" in str(error)
    else:
        assert place.beyond and "127.0.0.1" in place.addresses
        assert place.addresses[0] in place.shown


@pytest.mark.parametrize("wrong", ["localhost", "example.org", "1.2.3", "", "192.168.1.5:80"])
def test_a_name_is_no_address(wrong: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        place_at(wrong)


def test_the_view_token_lasts_and_is_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "studio" / "view-token"
    token = lasting_token(path)
    assert lasting_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    assert lasting_token(path) != token
    assert len(new_token()) == 32 and new_token() != new_token()


@pytest.mark.parametrize("broken", ["", "short", "x" * 20 + "\n; Path=/", "é" * 40])
def test_a_broken_token_is_made_anew(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "view-token"
    path.write_bytes(broken.encode("latin-1"))
    try:
        token = lasting_token(path)
    except UsageError as error:
        assert str(path) in str(error)
    else:
        assert len(token) == 32


def test_the_certificate_is_kept_while_it_fits(tmp_path: Path) -> None:
    tls, fingerprint = own_certificate(tmp_path / "tls", ["192.0.2.7", "studio.local"])
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    assert len(fingerprint.split(":")) == 32
    assert own_certificate(tmp_path / "tls", ["192.0.2.7"])[1] == fingerprint
    assert own_certificate(tmp_path / "tls", ["192.0.2.8"])[1] != fingerprint


def test_a_damaged_certificate_is_replaced(tmp_path: Path) -> None:
    tls, fingerprint = own_certificate(tmp_path, ["192.0.2.7"])
    tls.certificate.write_text("damaged")
    assert own_certificate(tmp_path, ["192.0.2.7"])[1] != fingerprint


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(UsageError, match="tls"):
        own_certificate(tmp_path / "tls", ["192.0.2.7"])


@pytest.mark.parametrize("damage", ["cut", "nonsense", "another", "empty", "read by others"])
def test_a_key_that_does_not_fit_is_replaced_with_its_certificate(
    tmp_path: Path, damage: str
) -> None:
    tls, fingerprint = own_certificate(tmp_path / "tls", ["192.0.2.7"])
    whole = tls.key.read_bytes()
    other, _ = own_certificate(tmp_path / "other", ["192.0.2.7"])
    tls.key.write_bytes(
        {"cut": whole[:60], "nonsense": b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "empty": b"",
         "another": other.key.read_bytes(), "read by others": whole}[damage]
    )  # fmt: skip
    if damage == "read by others":
        tls.key.chmod(0o644)
    assert own_certificate(tmp_path / "tls", ["192.0.2.7"])[1] != fingerprint
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)


def test_a_key_is_never_there_half_nor_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(stat.S_IMODE(self.stat().st_mode))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    own_certificate(tmp_path / "tls", ["192.0.2.7"])
    assert seen == [0o600, 0o600]
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
