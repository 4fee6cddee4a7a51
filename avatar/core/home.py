"""Where the files of one user lie: the only place that resolves a folder of the user's.

Whoever starts a program makes one ``Home`` and hands it on; nothing below asks the system again.
Tests, portable copies and servers of several users make one with ``Home.under``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.files import expanded

APP = "webcam-avatar"
MODELS_VARIABLE = "AVATAR_MODELS"
FACE_MODEL_VARIABLE = "AVATAR_FACE_MODEL"


@dataclass(frozen=True)
class Home:
    """The folders of one user. None of them need exist: a writer makes what it needs.

    ``data``: what the user made, which no program tidies up. ``cache``: what can be made again.
    ``config``: the desktop's folder for settings of all programs, in which autostart files lie.
    ``films``: where recordings go that were given no name. ``models``: the published networks.
    ``disclosure_log``: the record of every session without a visible label. ``named_face_model``:
    the face model that the user chose for all commands; None looks for one.
    """

    data: Path
    cache: Path
    config: Path
    films: Path
    models: Path
    disclosure_log: Path
    named_face_model: Path | None = None

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> Home:
        """Return the home of the user that runs this program, by the customs of the system.

        ``environment``: where this program's own variables are read, ``AVATAR_MODELS`` and
        ``AVATAR_FACE_MODEL``; the system's folders are those of the process. Raises ``UsageError``
        where nothing says which folder is the user's home.
        """
        import platformdirs

        try:
            Path("~").expanduser()
        except RuntimeError:
            raise UsageError(
                "expected a home folder for avatars, profiles and caches, found none: HOME is not "
                "set, and the system has no user of this number. Set HOME to a folder"
            ) from None
        data = platformdirs.user_data_path(APP)
        models, face_model = map(environment.get, (MODELS_VARIABLE, FACE_MODEL_VARIABLE))
        return cls(
            data=data,
            cache=platformdirs.user_cache_path(APP),
            config=platformdirs.user_config_path(),
            films=platformdirs.user_videos_path() / APP,
            models=expanded(models) if models else data / "models",
            # Without the author's folder that Windows would add: the log has always lain there.
            disclosure_log=platformdirs.user_data_path(APP, appauthor=False) / "disclosure.log",
            named_face_model=Path(face_model) if face_model else None,
        )

    @classmethod
    def under(cls, folder: Path | str) -> Home:
        """Return a home whose every path lies in ``folder``, whatever the environment says."""
        folder = Path(folder)
        data = folder / "data"
        return cls(
            data=data,
            cache=folder / "cache",
            config=folder / "config",
            films=folder / "films",
            models=data / "models",
            disclosure_log=data / "disclosure.log",
        )

    @property
    def avatars(self) -> Path:
        """Return the folder of stored avatars."""
        return self.data / "avatars"

    @property
    def profiles(self) -> Path:
        """Return the folder of what was learned about drivers."""
        return self.data / "profiles"

    @property
    def recordings(self) -> Path:
        """Return the folder of films that people made of themselves to train from."""
        return self.data / "recordings"

    @property
    def studio(self) -> Path:
        """Return the folder of the pages' secrets: the lasting token and the certificate."""
        return self.data / "studio"

    @property
    def face_model(self) -> Path:
        """Return where a downloaded face model is kept."""
        return self.data / "models" / "face_landmarker.task"

    @property
    def faces(self) -> Path:
        """Return the folder of faces found in photographs."""
        return self.cache / "faces"

    @property
    def mattes(self) -> Path:
        """Return the folder of people's outlines in photographs."""
        return self.cache / "mattes"

    @property
    def features(self) -> Path:
        """Return the folder of what networks computed once of a photograph."""
        return self.cache / "features"
