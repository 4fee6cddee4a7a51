"""Files that commands write beside their work ask before they replace anything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from avatar.app.calibrate import calibrate
from avatar.app.run import run
from avatar.core.errors import SinkError, UsageError
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.outputs import check_output, write_output
from avatar.measure.bench import bench
from avatar.measure.reports import check_reports
from tests import ROOT

LIVE = Options(camera="demo", out=("none",), size="320x240", seconds=0.3)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "avatar", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_bench_keeps_what_is_there_and_says_so_at_once(tmp_path: Path, option: str) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"precious")
    done = command("bench", "--camera", "absent.mp4", option, photo)
    assert done.returncode == 2
    assert f"{option}: {photo} exists already" in done.stderr
    assert photo.read_bytes() == b"precious"
    forced = command("bench", "--camera", "absent.mp4", option, photo, "--force")
    assert "exists already" not in forced.stderr
    assert photo.read_bytes() == b"precious", "the camera comes first"


def test_formats_and_clashes_are_refused_before_the_work(tmp_path: Path) -> None:
    done = command("bench", "--camera", "absent.mp4", "--plot", tmp_path / "x.pdf")
    assert done.returncode == 2
    assert "expected a path ending in .png or .html" in done.stderr
    with pytest.raises(UsageError, match=r"\.html"):
        check_reports(html=tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="something else"):
        check_reports(json=tmp_path / "a.html", plot=tmp_path / "." / "a.html")
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"precious")
    with pytest.raises(UsageError, match="something else"):
        check_reports(json=clip, force=True, read=(str(clip),))


def test_stats_keep_what_is_there(tmp_path: Path, home: Home) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"--stats: .* exists already.*--force"):
        run(replace(LIVE, stats=photo), home)
    assert photo.read_bytes() == b"precious"
    film = tmp_path / "talk.mp4"
    clash = replace(LIVE, out=(f"file:{film}",), stats=tmp_path / "." / "talk.mp4", force=True)
    with pytest.raises(UsageError, match="something else"):
        run(clash, home)
    assert list(tmp_path.iterdir()) == [photo]


def test_a_calibration_page_keeps_what_is_there(tmp_path: Path, home: Home) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"--html: .* exists already"):
        calibrate("absent.mp4", unattended=True, html=page, home=home)
    assert page.read_bytes() == b"precious"


def test_calibrate_finds_at_its_start_that_it_may_not_write(home: Home) -> None:
    home.profiles.parent.mkdir(parents=True)
    home.profiles.write_text("a file where the folder should be")
    with pytest.raises(SinkError, match="cannot be written"):
        calibrate("absent.mp4", unattended=True, home=home)


@pytest.mark.parametrize("spelling", ["talk.mp4", "./talk.mp4", "other/../talk.mp4"])
def test_one_file_is_one_output(tmp_path: Path, home: Home, spelling: str) -> None:
    (tmp_path / "other").mkdir()
    twice = (f"file:{tmp_path}/talk.mp4", f"file:{tmp_path}/{spelling}")
    with pytest.raises(UsageError, match="only once"):
        run(replace(LIVE, out=twice), home)
    assert not (tmp_path / "talk.mp4").exists()


def test_a_recording_of_the_file_that_is_the_camera_is_refused(tmp_path: Path, home: Home) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"precious")
    config = replace(LIVE, camera=str(clip), out=(f"file:{tmp_path}/./clip.mp4",), force=True)
    with pytest.raises(UsageError, match="would destroy the recording"):
        run(config, home)
    assert clip.read_bytes() == b"precious"


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="a pipe or a device"):
        check_output(pipe, "--json", force=True)
    check_output(Path("/dev/null"), "--json", force=False)
    write_output(Path("/dev/null"), "figures")


def test_a_report_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "real.json"
    target.write_text("old")
    target.chmod(0o644)
    link = tmp_path / "link.json"
    link.symlink_to(target)
    write_output(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o644
    long = tmp_path / ("x" * 300)
    with pytest.raises(UsageError, match="too long"):
        check_output(long, "--json", force=False)


def test_bench_draws_the_figures_of_a_stream_too(tmp_path: Path, home: Home) -> None:
    config = replace(LIVE, seconds=2.0)
    address = "udp://127.0.0.1:9"
    plot = tmp_path / "x.png"
    assert bench(config, home, unpaced=False, json_path=None, plot=plot, out=address) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_bench_of_an_output_that_is_not_there_is_no_success(home: Home) -> None:
    config = replace(LIVE, seconds=0.1)
    address = "udp://no-such-host.invalid:1234"
    try:
        status = bench(config, home, unpaced=False, json_path=None, plot=None, out=address)
    except SinkError as error:  # where nothing at all was sent
        assert "no picture reached" in str(error)
    else:
        assert status == 1
