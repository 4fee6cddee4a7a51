"""The published networks as the torch backend runs them: what they compute, and where."""

from __future__ import annotations

from typing import Any

import pytest

from avatar.core.errors import EngineError
from engines import samples
from engines.backends import TorchBackend
from engines.compare import LIMITS, compare, table
from engines.export import MODELS, deployed, model
from tests import parity
from tests.engines.conftest import relative_error
from tests.parity.weights import make_image, sample

torch = pytest.importorskip("torch", reason="the backend under test")

LIP = "liveportrait/stitching_retargeting_module/lip"
QUICK = (LIP, "fomm/kp_detector", "fomm/source", "liveportrait/motion_extractor")
SLOW = tuple(name for name in MODELS if name not in QUICK)


def assert_near_the_published(name: str, precision: Any) -> None:
    from engines.networks.seeded import seeded
    from engines.torch import reference

    networks = {n: seeded(n) for n in (*model(name).fed_by, *model(name).networks)}
    source, *driving = samples.random_pictures(2)
    feeds = samples.real_feeds(name, networks, source, driving)[-1:]
    backend = TorchBackend()
    with (
        backend.open_networks(name, networks, precision=precision, device="cpu") as runner,
        reference(name, networks) as expected,
    ):
        assert runner.spec == model(name).spec
        found = compare(runner, expected, feeds)
    assert all(d.within(LIMITS[precision]) for d in found), table(found, LIMITS[precision])
    if precision == "fp16" and name != LIP:
        assert any(d.relative > 1e-5 for d in found), "it was not computed in half precision"


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", QUICK)
def test_it_computes_what_was_published(name: str, precision: str) -> None:
    assert_near_the_published(name, precision)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_half_precision_of_every_other_model_stays_below_its_bound(name: str) -> None:
    """In float32 they are compared where they are exported."""
    assert_near_the_published(name, "fp16")


@torch.no_grad()
def test_half_precision_gives_the_recorded_numbers(seeded: Any) -> None:
    """Of the original programs, to what float16 leaves of them."""
    name, golden = "liveportrait/motion_extractor", parity.golden("liveportrait")
    heads = computed_in_half(name, {name: seeded(name)})(image(1))
    for head, value in heads.items():
        assert relative_error(value, golden[f"motion_extractor/{head}"]) < 5e-3, head
    name, golden = "fomm/kp_detector", parity.golden("fomm")
    points = computed_in_half(name, {name: seeded(name)})(image(1))
    for key, value in points.items():
        assert relative_error(value, golden[f"kp_detector/source/{key}"]) < 5e-3, key
    name = "fomm/source"
    encoded = computed_in_half(name, {"fomm/generator": seeded("fomm/generator")})(image(1))
    assert set(encoded) == {"small", "features"}


@pytest.mark.slow
@torch.no_grad()
def test_half_precision_of_a_volume_gives_the_recorded_numbers(seeded: Any) -> None:
    name, golden = "liveportrait/appearance_feature_extractor", parity.golden("liveportrait")
    found = computed_in_half(name, {name: seeded(name)})(image(1))["feature_3d"]
    expected = golden["appearance_feature_extractor/feature_3d"]
    assert relative_error(sample(found.numpy(), expected.size), expected) < 5e-3


def computed_in_half(name: str, networks: Any) -> Any:
    """What gives a model's outputs of its picture, behind the rounding to bytes."""
    import copy

    from engines.torch import computed

    module = copy.deepcopy(deployed(name, networks))
    module.picture = torch.nn.Identity()
    return lambda picture: computed(module, model(name).spec, "fp16", emulated=True)(
        picture=picture
    )


def image(seed: int) -> Any:
    return torch.from_numpy(make_image(seed))


class OnOneDevice(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes every operation, and refuses what a CUDA graph cannot hold.

    That is values of the processor among those of the card, and numbers that the processor would
    have to wait for. ``meta`` stands for the card: there everything has a type and a shape alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[str, set[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        values = [v for v in torch.utils._pytree.tree_leaves((args, kwargs)) if is_array(v)]
        wrong = [v for v in values if v.device.type != "meta"]
        assert not wrong, f"{func} reads values of the processor: {[v.shape for v in wrong]}"
        assert func not in UNCAPTURABLE, f"{func} waits for the card"
        if func in PRODUCTS:
            self.products.append((str(func), {v.dtype for v in values}))
        return func(*args, **(kwargs or {}))


ATEN = torch.ops.aten
UNCAPTURABLE = (ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.item.default)
PRODUCTS = (
    ATEN.convolution.default, ATEN.addmm.default, ATEN.mm.default, ATEN.bmm.default,
    ATEN.baddbmm.default,
)  # fmt: skip


def is_array(value: Any) -> bool:
    """Numbers without an axis go to a kernel with the call."""
    return isinstance(value, torch.Tensor) and value.dim() > 0


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", list(MODELS))
def test_all_that_it_computes_can_be_one_graph_on_a_card(name: str, precision: Any) -> None:
    from engines.networks import create
    from engines.torch import computed

    spec = model(name).spec
    with torch.device("meta"):
        networks = {network: create(network) for network in model(name).networks}
        module = deployed(name, networks)
    function = computed(module, spec, precision, emulated=False)
    feeds = {
        value.name: torch.empty(value.shape, dtype=getattr(torch, str(value.dtype)), device="meta")
        for value in spec.inputs
    }
    with torch.no_grad(), OnOneDevice() as watched:
        found = function(**feeds)
    assert {key: (tuple(v.shape), str(v.dtype)) for key, v in found.items()} == {
        value.name: (value.shape, f"torch.{value.dtype}") for value in spec.outputs
    }
    wanted = {torch.float16 if precision == "fp16" else torch.float32}
    assert watched.products
    assert all(types == wanted for _, types in watched.products), watched.products


def test_int8_is_refused(seeded: Any) -> None:
    networks = {LIP: seeded(LIP)}
    with pytest.raises(EngineError, match="expected fp16 or fp32 with torch, found int8"):
        TorchBackend().open_networks(LIP, networks, precision="int8", device="cpu")


def test_the_networks_that_it_is_given_stay_as_they_are(seeded: Any) -> None:
    network = seeded(LIP)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    TorchBackend().open_networks(LIP, {LIP: network}, precision="fp16", device="cpu").close()
    assert all(
        value.dtype == before[key].dtype and torch.equal(value, before[key])
        for key, value in network.state_dict().items()
    )
