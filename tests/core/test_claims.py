from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from avatar.core.claims import claimed, is_claimed
from avatar.core.errors import UsageError

HOLD = """
import sys
from pathlib import Path
from avatar.core.claims import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_file_has_one_writer_under_any_spelling(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path, same = tmp_path / "a.mp4", tmp_path / "link" / ".." / tmp_path.name / "a.mp4"
    with claimed(path):
        assert is_claimed(same)
        with pytest.raises(UsageError, match="being written"), claimed(same):
            pass
        with claimed(tmp_path / "b.mp4"):
            assert is_claimed(path)
    assert not is_claimed(path)
    with claimed(same):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        assert is_claimed(path)
        with pytest.raises(UsageError, match="being written"), claimed(path):
            pass
        assert is_claimed(path), "asking and being refused take nothing from it"
        other.kill()
        other.wait()
    assert not is_claimed(path)
    assert list(tmp_path.iterdir()) == []


def test_without_its_folder_a_file_cannot_be_claimed(tmp_path: Path) -> None:
    with pytest.raises(OSError), claimed(tmp_path / "nowhere" / "a.mp4"):
        pass
