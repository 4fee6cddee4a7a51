"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

from avatar.core.frames import Face, Float32, UInt8Image
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.stages.generate import album, group
from avatar.stages.generate import portrait as portrait_engine
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.person_cut import PersonCut, cut_photo
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.track.choice import detect_faces
from tests import ROOT
from tests.without import sitecustomize

if sitecustomize.HIDDEN:  # for the programs that tests start, too
    _paths = (str(ROOT / "tests" / "without"), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _paths))

# Tests do not time: an example that a busy machine delays is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests keep the faces they find to themselves, and find none that earlier runs kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Home.of_user().cache


@pytest.fixture(scope="session", autouse=True)
def kept_cuts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Photographs are cut once for all tests and workers: what is kept comes back bit for bit."""
    folder = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have a folder each, inside that of the run.
    folder = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    kept = MatteCache(folder / "cuts")

    def cut(
        photo: UInt8Image,
        faces: Sequence[Face],
        mattes: MatteCache | None,
        matte: Float32 | None = None,
    ) -> list[PersonCut]:
        return cut_photo(photo, faces, mattes or kept, matte)

    with pytest.MonkeyPatch.context() as patch:
        for drawing in (album, group, portrait_engine):
            patch.setattr(drawing, "cut_photo", cut)
        yield


@pytest.fixture
def home(tmp_path: Path, own_cache: Path) -> Home:
    """Folders of a user who has nothing yet; the cache alone is that of all tests."""
    return replace(Home.under(tmp_path / "home"), cache=own_cache)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recordings and tools beside the project; the one place that knows ``AVATAR_SHARED``.

    The folder named by ``AVATAR_SHARED``, or ``shared`` beside the checkout: ``media/clips`` and
    ``media/avatars``, too large for the repository, and ``tools``, which start real parts. A test
    that wants it is skipped where it is not.
    """
    folder = Path(os.environ.get("AVATAR_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; AVATAR_SHARED names it (CONTRIBUTING.md)")
    return folder


@pytest.fixture(scope="session")
def shared_media(shared: Path) -> Path:
    """Real clips (``clips/``) and pictures (``avatars/``)."""
    return shared / "media"


@pytest.fixture(scope="session")
def face_model() -> Path:
    """The face model that was installed; tests never download it."""
    return find_face_model(None, Home.of_user(), allow_download=False)


@pytest.fixture(scope="session")
def portrait() -> UInt8Image:
    """The built-in portrait, uint8 (H, W, 3) RGB."""
    return load_photo(builtin_photo())


@pytest.fixture(scope="session")
def portrait_face(portrait: UInt8Image, face_model: Path) -> Face:
    """The face of the built-in portrait, in its pixels."""
    return detect_faces(portrait, face_model)[0]
