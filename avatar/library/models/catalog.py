"""What can be installed: families of networks, where they are published, under which licence.

A family is the name in front of its networks' names (``engines.networks.NAMES``); a variant is
another set of weights for the same networks.
"""

from __future__ import annotations

from dataclasses import dataclass

from avatar.core.errors import UsageError


@dataclass(frozen=True)
class PublishedFile:
    """A file in a repository of the Hugging Face Hub.

    ``size_bytes`` and ``sha256`` are those of the published file; 0 and "" where they are not
    known here: then what the Hub states for the pinned revision is checked instead.
    """

    path: str
    size_bytes: int = 0
    sha256: str = ""

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Licence:
    """A licence in the words that the user has to agree to."""

    name: str
    terms: str
    url: str


@dataclass(frozen=True)
class Entry:
    """One installable set of weights.

    ``networks``: what a complete set holds. ``repository`` and ``revision``: on the Hub; empty
    where there is no official home that a program can fetch from, and ``by_hand`` says what to do.
    """

    family: str
    variant: str
    title: str
    licence: Licence
    networks: tuple[str, ...]
    repository: str = ""
    revision: str = ""
    files: tuple[PublishedFile, ...] = ()
    by_hand: str = ""

    @property
    def slug(self) -> str:
        """The name of its folder."""
        return f"{self.family}-{self.variant}" if self.variant else self.family

    @property
    def arguments(self) -> str:
        """How it is written behind a command."""
        return f"{self.family} --variant {self.variant}" if self.variant else self.family


_MIT = Licence(
    "MIT",
    "free for every use, also commercial, as long as the copyright notice is kept",
    "https://github.com/KwaiVGI/LivePortrait/blob/main/LICENSE",
)
_NON_COMMERCIAL = Licence(
    "non-commercial",
    # The code's licence was changed to MIT later, without a word of the weights.
    "the weights are for private and research use; earning money with them is not allowed",
    "https://github.com/AliaksandrSiarohin/first-order-model",
)
_RETARGETING = PublishedFile(
    "liveportrait/retargeting_models/stitching_retargeting_module.pth",
    2_393_098,
    "3652d5a3f95099141a56986aaddec92fadf0a73c87a20fac9a2c07c32b28b611",
)
_LIVEPORTRAIT_NETWORKS = (
    "liveportrait/appearance_feature_extractor",
    "liveportrait/motion_extractor",
    "liveportrait/warping_module",
    "liveportrait/spade_generator",
    "liveportrait/stitching_retargeting_module/stitching",
    "liveportrait/stitching_retargeting_module/lip",
    "liveportrait/stitching_retargeting_module/eye",
)
# Formerly KwaiVGI/LivePortrait, which the Hub redirects.
_LIVEPORTRAIT_HOME = "KlingTeam/LivePortrait"
_LIVEPORTRAIT_REVISION = "82a4fa6735ca58432b6ce39301b4b9ee066dea47"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "liveportrait",
        "",
        "LivePortrait, people",
        _MIT,
        _LIVEPORTRAIT_NETWORKS,
        _LIVEPORTRAIT_HOME,
        _LIVEPORTRAIT_REVISION,
        (
            PublishedFile(
                "liveportrait/base_models/appearance_feature_extractor.pth",
                3_387_959,
                "5279bb8654293dbdf327030b397f107237dd9212fb11dd75b83dfb635211ceb5",
            ),
            PublishedFile(
                "liveportrait/base_models/motion_extractor.pth",
                112_545_506,
                "251e6a94ad667a1d0c69526d292677165110ef7f0cf0f6d199f0e414e8aa0ca5",
            ),
            PublishedFile(
                "liveportrait/base_models/warping_module.pth",
                182_180_086,
                "2f61a6f265fe344f14132364859a78bdbbc2068577170693da57fb96d636e282",
            ),
            PublishedFile(
                "liveportrait/base_models/spade_generator.pth",
                221_813_590,
                "4780afc7909a9f84e24c01d73b31a555ef651521a1fe3b2429bd04534d992aee",
            ),
            _RETARGETING,
        ),
    ),
    Entry(
        "liveportrait",
        "animals",
        "LivePortrait, animals",
        _MIT,
        _LIVEPORTRAIT_NETWORKS,
        _LIVEPORTRAIT_HOME,
        _LIVEPORTRAIT_REVISION,
        (
            # Their hashes are not confirmed here: the Hub's own for the pinned revision count.
            PublishedFile("liveportrait_animals/base_models_v1.1/appearance_feature_extractor.pth"),
            PublishedFile("liveportrait_animals/base_models_v1.1/motion_extractor.pth"),
            PublishedFile("liveportrait_animals/base_models_v1.1/warping_module.pth"),
            PublishedFile("liveportrait_animals/base_models_v1.1/spade_generator.pth"),
            # Animals have no stitching of their own: the published program takes the people's.
            _RETARGETING,
        ),
    ),
    Entry(
        "fomm",
        "",
        "First Order Motion Model, people",
        _NON_COMMERCIAL,
        ("fomm/kp_detector", "fomm/generator"),
        by_hand="its authors publish vox-adv-cpk.pth.tar in a shared drive that asks for a "
        "browser: follow the link `Pre-trained checkpoint` of "
        "https://github.com/AliaksandrSiarohin/first-order-model",
    ),
)


def find(family: str, variant: str = "") -> Entry:
    """Return the entry of ``family`` and ``variant``; raises ``UsageError`` naming the known."""
    for entry in ENTRIES:
        if (entry.family, entry.variant) == (family, variant):
            return entry
    wanted = f"{family} --variant {variant}" if variant else family
    known = ", ".join(f"`{entry.arguments}`" for entry in ENTRIES)
    raise UsageError(f"expected a model's name, found `{wanted}`. Known are: {known}")
