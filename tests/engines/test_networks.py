"""The networks are the published ones: same names, same shapes, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from avatar.core.errors import EngineError
from engines.networks import NAMES, create
from engines.networks.checkpoint import parameters
from tests import parity
from tests.engines.conftest import relative_error
from tests.parity.weights import make_image, sample

torch = pytest.importorskip("torch", reason="the networks are defined in PyTorch")

LIMIT = 1e-4  # of the original's own float32 rounding: its `deformed` is 6e-5 from float64
Network = Callable[[str], Any]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_published_checkpoint(name: str) -> None:
    expected = {e["name"]: tuple(e["shape"]) for e in parity.manifest(name)}
    assert parameters(name) == expected


def test_names_are_those_of_the_manifests() -> None:
    for name in NAMES:
        assert parity.manifest(name)


def test_an_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(EngineError, match="liveportrait/warping_module"):
        create("liveportrait/waping_module")


def test_created_in_eval_mode() -> None:
    assert not create("liveportrait/stitching_retargeting_module/lip").training


def image(seed: int) -> Any:
    return torch.from_numpy(make_image(seed))


def assert_close(found: Any, expected: Any, what: str, sampled: bool = False) -> None:
    if sampled:
        found = sample(found.numpy(), 16384 if expected.size > 4096 else 4096)
    assert relative_error(found, expected) < LIMIT, what


@torch.no_grad()
def test_motion_extractor_gives_the_recorded_numbers(seeded: Network) -> None:
    golden = parity.golden("liveportrait")
    heads = seeded("liveportrait/motion_extractor")(image(1))
    for head, value in heads.items():
        assert value.shape == golden[f"motion_extractor/{head}"].shape
        assert_close(value, golden[f"motion_extractor/{head}"], head)


@pytest.mark.parametrize("part", ["stitching", "lip", "eye"])
@torch.no_grad()
def test_retargeting_gives_the_recorded_numbers(part: str, seeded: Network) -> None:
    golden = parity.golden("liveportrait")
    network = seeded(f"liveportrait/stitching_retargeting_module/{part}")
    found = network(torch.from_numpy(golden[f"input/{part}"]))
    assert_close(found, golden[f"stitching_retargeting_module/{part}"], part)


@pytest.mark.slow
@torch.no_grad()
def test_portrait_gives_the_recorded_numbers(seeded: Network) -> None:
    golden = parity.golden("liveportrait")
    volume = seeded("liveportrait/appearance_feature_extractor")(image(1))
    assert_close(
        volume, golden["appearance_feature_extractor/feature_3d"], "feature_3d", sampled=True
    )
    driving = torch.from_numpy(golden["input/kp_driving"])
    source = torch.from_numpy(golden["input/kp_source"])
    warped = seeded("liveportrait/warping_module")(volume, driving, source)
    for key, value in warped.items():
        assert_close(value, golden[f"warping_module/{key}"], key, sampled=True)
    picture = seeded("liveportrait/spade_generator")(warped["out"])
    assert picture.shape == (1, 3, 512, 512)
    assert_close(picture, golden["spade_generator/image"], "image", sampled=True)


@torch.no_grad()
def test_first_order_model_gives_the_recorded_numbers(seeded: Network) -> None:
    golden = parity.golden("fomm")
    detector = seeded("fomm/kp_detector")
    found = {"source": detector(image(1))}
    found["driving"] = detector(image(101))
    for which, points in found.items():
        for key, value in points.items():
            assert_close(value, golden[f"kp_detector/{which}/{key}"], f"{which} {key}")
    outputs = seeded("fomm/generator")(
        image(1),
        found["source"]["value"],
        found["source"]["jacobian"],
        found["driving"]["value"],
        found["driving"]["jacobian"],
    )
    for key, value in outputs.items():
        assert_close(value, golden[f"generator/{key}"], key, sampled=True)


@torch.no_grad()
def test_closed_form_inverse_is_the_inverse() -> None:
    from engines.networks.fomm.published import inverse_2x2

    m = torch.randn(3, 10, 2, 2, generator=torch.Generator().manual_seed(0)) + 3 * torch.eye(2)
    assert torch.allclose(inverse_2x2(m), torch.inverse(m), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_batches_are_independent(seeded: Network) -> None:
    detector = seeded("fomm/kp_detector")
    one, two = image(1), image(101)
    both = detector(torch.cat((one, two)))["value"]
    assert torch.allclose(both[1:], detector(two)["value"], atol=1e-5)
