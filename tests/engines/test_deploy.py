"""The deployed forms compute what the published networks compute."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deployed forms are PyTorch modules")

shapes = {"height": st.integers(1, 6), "width": st.integers(1, 6), "seed": st.integers(0, 999)}


def random(*shape: int, seed: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def upsampled(x: Any, scale: Any) -> Any:
    return torch.nn.functional.interpolate(x, scale_factor=scale)


@settings(max_examples=20, deadline=None)
@given(**shapes, bias=st.booleans())
@torch.no_grad()
def test_convolution_of_a_doubled_picture(height: int, width: int, seed: int, bias: bool) -> None:
    from engines.deploy_convolutions import DoubledConv2d

    torch.manual_seed(seed)
    conv = torch.nn.Conv2d(3, 5, 3, padding=1, bias=bias)
    x = random(1, 3, height, width, seed=seed)
    expected = torch.relu(conv(upsampled(x, 2)))
    assert torch.allclose(DoubledConv2d(conv)(x), expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(**shapes)
@torch.no_grad()
def test_convolution_of_a_picture_four_times_as_large(height: int, width: int, seed: int) -> None:
    from engines.deploy_convolutions import FourfoldConv2d

    torch.manual_seed(seed)
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    x = random(1, 3, height, width, seed=seed)
    expected = torch.relu(conv(upsampled(x, 4)))
    assert torch.allclose(FourfoldConv2d(conv)(x), expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(**shapes, depth=st.integers(1, 4))
@torch.no_grad()
def test_convolution_of_a_doubled_volume(height: int, width: int, seed: int, depth: int) -> None:
    from engines.deploy_convolutions import DoubledConv3d

    torch.manual_seed(seed)
    conv = torch.nn.Conv3d(3, 5, 3, padding=1)
    x = random(1, 3, depth, height, width, seed=seed)
    expected = torch.relu(conv(upsampled(x, (1, 2, 2))))
    assert torch.allclose(DoubledConv3d(conv)(x), expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    kernel=st.sampled_from([3, 5, 7]),
    padded=st.booleans(),
    axes=st.sampled_from([2, 3]),
    seed=st.integers(0, 999),
)
@torch.no_grad()
def test_wide_kernels_with_few_outputs(kernel: int, padded: bool, axes: int, seed: int) -> None:
    from engines.deploy_convolutions import NarrowConv

    torch.manual_seed(seed)
    kind = torch.nn.Conv2d if axes == 2 else torch.nn.Conv3d
    padding = kernel // 2 if padded else 0
    convs = [kind(3, outputs, kernel, padding=padding) for outputs in (2, 1)]
    x = random(1, 3, *(8,) * axes, seed=seed)
    expected = torch.cat([conv(x) for conv in convs], dim=1)
    assert torch.allclose(NarrowConv(*convs)(x), expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), reach=st.sampled_from([0.0, 0.05, 0.5, 3.0]))
@torch.no_grad()
def test_translations_of_a_volume_are_matrix_products(seed: int, reach: float) -> None:
    from engines.networks.liveportrait.deployed import SeparableMotion
    from engines.networks.liveportrait.published import sample_volume, volume_grid

    volume = random(4, 5, 6, 7, seed=seed)
    shift = reach * random(8, 3, seed=seed + 1)
    grid = volume_grid(volume) + shift[:, None, None, None, :]
    expected = sample_volume(volume.expand(8, -1, -1, -1, -1), grid)
    assert torch.allclose(SeparableMotion.translate(volume, shift), expected, atol=2e-5)


@torch.no_grad()
def test_heat_maps_are_products_of_axes() -> None:
    from engines.networks.liveportrait.deployed import SeparableMotion
    from engines.networks.liveportrait.published import heat_maps, volume_grid

    grid = volume_grid(random(1, 4, 8, 9, seed=0))
    points = 0.5 * random(1, 21, 3, seed=1)
    expected = heat_maps(points, grid)
    assert torch.allclose(SeparableMotion.heat_maps(points, grid), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 4])
@torch.no_grad()
def test_spade_blocks(scale: int) -> None:
    from engines.networks.liveportrait.deployed import DeployedSpadeBlock
    from engines.networks.liveportrait.published import SpadeBlock

    torch.manual_seed(0)
    block = SpadeBlock(24, 24 if scale == 1 else 8).eval()
    label, x = random(1, 256, 5, 5, seed=1), random(1, 24, 5 * max(1, scale // 2), 5, seed=2)
    if scale == 4:
        x = random(1, 24, 10, 10, seed=2)
    if scale == 2:
        x = random(1, 24, 5, 5, seed=2)
    expected = block(x if scale == 1 else upsampled(x, 2), label)
    found = DeployedSpadeBlock(block, scale)(x, label)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@torch.no_grad()
def test_pictures_survive_the_way_in_and_out(colour: Any) -> None:
    from engines.deploy import PictureIn, PictureOut

    picture = torch.arange(4 * 64 * 3).reshape(4, 64, 3).to(torch.uint8)
    inside = PictureIn(colour)(picture)
    assert inside.shape == (1, 3, 4, 64) and inside.max() <= 1
    red = picture[..., 0 if colour == "rgb" else 2]
    assert torch.allclose(inside[0, 0] * 255, red.float(), atol=1e-4)
    assert torch.equal(PictureOut(colour)(inside), picture)
