"""The training loop: a generator against a discriminator, on pairs that lie on disk.

Every random choice of a step is drawn from the seed and the step's number alone, so that a
training that goes on from a checkpoint does what it would have done uninterrupted, bit for bit on
the same machine with the same threads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from avatar.core.errors import EngineError
from engines.networks.portrait_gan import Critics, PortraitGan
from engines.patches import Patch
from engines.training import checkpoint
from engines.training.augment import AugmentedBatch, critic_window
from engines.training.devices import Arithmetic, Device
from engines.training.group import Group
from engines.training.losses import (
    feature_matching,
    hinge_critic,
    pyramid_l1,
    texture_l1,
    weighted_l1,
)
from engines.training.muon import Muon
from engines.training.pairs import Batch, Pairs
from engines.training.parts import Parts

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
# Held-out moments are few: their error wavers by so much while what is drawn still gets better, and
# of equals the weights that learnt for longer draw finer detail.
_AS_GOOD = 1.03
_SETTLED = "settled"


@dataclass(frozen=True)
class Plan:
    """How a training goes; all of it is kept in the checkpoint.

    ``batch``: pairs a step. ``learning_rate`` of generator and discriminator alike but for the
    generator's hidden layers, which have a ``hidden_rate`` (Muon's). ``texture``: weight of the
    loss that keeps detail. ``adversarial``
    and ``features``: weights of the discriminator's losses beside the pyramid's, which is 1; they
    begin after ``warm_up`` steps. ``averaging``: the share of old weights in the averaged ones.
    ``settled``: the step from which on what is beside the face is learnt as it is drawn by then.
    Hair and clothes lie otherwise a minute later: learnt for longer, they are learnt by heart.
    """

    seed: int = 0
    batch: int = 6
    learning_rate: float = 8e-4
    hidden_rate: float = 3e-3
    texture: float = 10.0
    warm_up: int = 200
    adversarial: float = 0.02
    features: float = 0.06
    averaging: float = 0.995
    settled: int = 1500

    @property
    def rates(self) -> dict[str, float]:
        """Return the learning rate of each optimizer, by its name in a checkpoint."""
        return {
            "hidden": self.hidden_rate,
            "optimizer": self.learning_rate,
            "critics-optimizer": self.learning_rate,
        }


@dataclass(frozen=True)
class Losses:
    """Of one step, means over the patches. ``critic`` is 0 while it does not take part yet."""

    step: int
    difference: float
    pyramid: float
    critic: float


@dataclass
class _Learnt:
    """Of one part: sums over the patches (3,), and gradients in the order of the parameters."""

    losses: npt.NDArray[np.float64]
    generator: list[Tensor]
    critics: list[Tensor]


class DivergedError(EngineError):
    """A loss or a gradient is no longer a number; what was kept before is whole."""


class Trainer:
    """Trains a ``PortraitGan`` on ``pairs``.

    ``device``: ``cpu`` or ``cuda``, or one that says how it computes. ``base``: weights to begin
    with, by name. ``group``: the processes that train together, each with a batch of its own.
    """

    def __init__(
        self,
        pairs: Pairs,
        plan: Plan,
        device: str | Device = "cpu",
        base: Mapping[str, Tensor] | None = None,
        *,
        group: Group | None = None,
    ) -> None:
        self.pairs, self.plan, self.group = pairs, plan, group or Group()
        self._arithmetic = Arithmetic(device if isinstance(device, Device) else Device(device))
        self._device = self._arithmetic.device.name
        torch.manual_seed(plan.seed)
        self.generator = PortraitGan(pairs.patches)
        if base is not None:
            load_weights(self.generator, base, "the base")
        self._critics = Critics(pairs.patches)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False).eval()
        for network in (self.generator, self._critics, self.averaged):
            self._arithmetic.place(network)
        for net in self.generator.nets.values():
            self._arithmetic.compile(net)
        self._parts = Parts(self._arithmetic.device.kind)
        hidden = [w for net in self.generator.nets.values() for w in net.hidden_weights()]
        known = {id(weight) for weight in hidden}
        outer = [p for p in self.generator.parameters() if id(p) not in known]
        adam, rates = partial(torch.optim.Adam, betas=(0.5, 0.99), fused=True), plan.rates
        critics = self._critics.parameters()
        self._optimizers = {
            "hidden": Muon(hidden, rates["hidden"]),
            "optimizer": adam(outer, lr=rates["optimizer"]),
            "critics-optimizer": adam(critics, lr=rates["critics-optimizer"]),
        }
        self._settled: PortraitGan | None = None
        self.step_count = 0
        self.best = self.kept_error = math.inf

    def step(self) -> Losses:
        """Learn from one batch. Raises ``DivergedError`` when a loss or gradient is no number."""
        if self._settled is None and self.step_count >= self.plan.settled:
            self._settled = copy.deepcopy(self.averaged)
        sizes = self._parts.sizes(self.plan.batch)
        learnt = self._parts.run(self._learn_part, sizes)
        shares = [size / self.plan.batch for size in sizes]
        sums = sum(share * part.losses for share, part in zip(shares, learnt, strict=True))
        sums = self.group.mean(np.asarray(sums))
        found = Losses(self.step_count, *(float(v) / len(self.pairs.patches) for v in sums))
        if not all(math.isfinite(v) for v in (found.difference, found.pyramid, found.critic)):
            raise DivergedError(
                f"training diverged: in step {self.step_count} a loss is no longer a number"
            )
        for parameters, gradients in (
            (self.generator.parameters(), [part.generator for part in learnt]),
            (self._critics.parameters(), [part.critics for part in learnt]),
        ):
            _give(parameters, gradients, shares)
        self.group.average([*self.generator.parameters(), *self._critics.parameters()])
        hidden, outer, critics = self._optimizers.values()
        if self._arithmetic.step([hidden, outer], [critics] if self._critics_take_part else []):
            self._average()
        elif self._arithmetic.given_up:
            raise DivergedError(
                f"training diverged: in step {self.step_count} a gradient is no longer a number"
            )
        self.step_count += 1
        return found

    @property
    def _critics_take_part(self) -> bool:
        return self.plan.adversarial > 0 and self.step_count >= self.plan.warm_up

    def _as_settled(self, given: AugmentedBatch) -> AugmentedBatch:
        """Return what is to be learnt: beside the face the truth is what has settled."""
        face = given.face
        if self._settled is None or face is None:
            return given
        with torch.no_grad():
            settled = self._made(self._settled, given)
        return replace(given, truth=(settled + (given.truth - settled) * face).contiguous())

    def _learn_part(self, part: int, size: int) -> _Learnt:
        """Learn from ``size`` pairs; nothing is changed yet."""
        random = np.random.default_rng(self.group.seed(self.plan.seed, self.step_count, part))
        chosen = random.choice(self.pairs.train, size)
        learnt = _Learnt(np.zeros(3), [], [])
        for patch in self.pairs.patches:
            given = AugmentedBatch.of(patch, self.pairs.batch(patch, chosen), self._device)
            self._learn(self._as_settled(given.varied(random)), random, learnt)
        return learnt

    def _learn(self, given: AugmentedBatch, random: np.random.Generator, learnt: _Learnt) -> None:
        """Add the gradients of one patch, and its difference, pyramid and critic's loss."""
        patch, weight = given.patch, given.weight
        made = self._made(self.generator, given).contiguous()
        difference = weighted_l1(made, given.truth, weight)
        pyramid = pyramid_l1(made, given.truth, weight)
        loss = difference + pyramid
        if self.plan.texture > 0:
            loss = loss + self.plan.texture * texture_l1(made, given.truth, weight)
        against = torch.zeros(())
        if self._critics_take_part:
            (rows, columns), cells = critic_window(patch, random)
            maps = given.maps[:, :, *cells]
            true_window, made_window = (x[:, :, rows, columns] for x in (given.truth, made))
            score, seen = self._judged(patch, made_window, maps)
            real_score, real_seen = self._judged(patch, true_window, maps)
            loss = loss - self.plan.adversarial * score.mean()
            loss = loss + self.plan.features * feature_matching(seen, real_seen)
            against = hinge_critic(real_score, score)
            learnt.critics += self._arithmetic.gradients(
                against, self._critics.nets[patch.name].parameters(), keep=True
            )
        learnt.generator += self._arithmetic.gradients(
            loss, self.generator.nets[patch.name].parameters()
        )
        learnt.losses += [float(v.detach()) for v in (difference, pyramid, against)]

    def _judged(self, patch: Patch, picture: Tensor, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
        found: tuple[Tensor, list[Tensor]] = self._arithmetic.run(
            self._critics, patch.name, picture, maps
        )
        return found

    def _average(self) -> None:
        # Young averages follow quickly: at first little is worth keeping.
        keep = min(self.plan.averaging, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for old, new in zip(
                self.averaged.parameters(), self.generator.parameters(), strict=True
            ):
                old.lerp_(new, 1 - keep)

    def held_out_error(self) -> float:
        """Return the averaged weights' pyramid loss on the held-out pairs."""
        return self._held_out_error(lambda given: self._made(self.averaged, given))

    def untrained_error(self) -> float:
        """Return the same loss of the pictures as they are given, without any network."""
        return self._held_out_error(lambda given: given.picture)

    def _held_out_error(self, made: Callable[[AugmentedBatch], Tensor]) -> float:
        errors = []
        for patch in self.pairs.patches:
            for pairs in _chunks(self.pairs.held_out, 8):
                given = AugmentedBatch.of(patch, self.pairs.batch(patch, pairs), self._device)
                with torch.no_grad():
                    found = made(given)
                errors.append(float(pyramid_l1(found, given.truth, given.weight)))
        return float(np.mean(errors)) if errors else math.nan

    def look(self, patch: Patch, pairs: Any) -> tuple[Batch, Any]:
        """Return pairs and what the averaged weights make of them, uint8 (N, side, side, 3)."""
        batch = self.pairs.batch(patch, pairs)
        with torch.no_grad():
            made = self._made(self.averaged, AugmentedBatch.of(patch, batch, self._device))
        levels = (made * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
        return batch, levels.to(torch.uint8).cpu().numpy()

    def _made(self, network: PortraitGan, given: AugmentedBatch) -> Tensor:
        corrected, mask = self._arithmetic.run(
            network, given.patch.name, given.picture, given.reference, given.maps
        )
        made: Tensor = given.picture + (corrected - given.picture) * mask * given.border
        return made

    # Keeping and going on

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the checkpoint. Raises ``OSError``; the one before is whole then."""
        tensors: dict[str, Tensor] = {}
        networks = [*self._networks()]
        if self._settled is not None:
            networks.append((_SETTLED, self._settled))
        for name, network in networks:
            tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
        for name, optimizer in self._optimizers.items():
            tensors |= _optimizer_state(name, optimizer, self._named_parameters())
        kept = {
            **facts,
            **self._arithmetic.facts(),
            "plan": asdict(self.plan),
            "step": self.step_count,
            "best": self.best if math.isfinite(self.best) else None,
            "kept_error": self.kept_error if math.isfinite(self.kept_error) else None,
            "size": self.pairs.size,
            "data": self.pairs.sha256,
        }
        checkpoint.write(folder / CHECKPOINT, tensors, kept)

    def keep_good(self, folder: Path, error: float) -> bool:
        """Keep the averaged weights unless earlier ones were clearly better; say whether.

        ``error``: theirs on the held-out pairs. ``best`` is the lowest so far, ``kept_error`` that
        of the weights kept. Raises ``OSError``.
        """
        if not error < self.best * _AS_GOOD:
            return False
        self.best, self.kept_error = min(self.best, error), error
        state = dict(self.averaged.state_dict())
        facts = {"step": self.step_count, "error": error, "size": self.pairs.size}
        checkpoint.write(folder / BEST, state, facts)
        return True

    def resume(self, folder: Path) -> dict[str, Any]:
        """Go on from the checkpoint in ``folder``; return the facts that it was saved with.

        Raises ``EngineError`` when there is none, it is not whole or belongs to other pictures.
        """
        path = folder / CHECKPOINT
        tensors, facts = checkpoint.read(path)
        if facts.get("data") != self.pairs.sha256 or facts.get("size") != self.pairs.size:
            raise EngineError(
                f"{path} belongs to other pictures than those in {folder}. Train again: leave out "
                "--resume"
            )
        try:
            for name, network in self._networks():
                network.load_state_dict(_section(tensors, name))
            for name, optimizer in self._optimizers.items():
                _load_optimizer(name, optimizer, self._named_parameters(), tensors)
            if settled := _section(tensors, _SETTLED):
                self._settled = copy.deepcopy(self.averaged)
                self._settled.load_state_dict(settled)
            self._arithmetic.resume(facts)
            self.plan = Plan(**facts["plan"])
            self.step_count = int(facts["step"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"{path} is of another version of this program ({str(error).splitlines()[0]}). "
                "Train again: leave out --resume"
            ) from error
        for name, rate in self.plan.rates.items():
            self._optimizers[name].param_groups[0]["lr"] = rate
        self.best, self.kept_error = (
            math.inf if facts.get(name) is None else float(facts[name])
            for name in ("best", "kept_error")
        )
        return facts

    def _networks(self) -> Iterator[tuple[str, nn.Module]]:
        yield "generator", self.generator
        yield "critics", self._critics
        yield "averaged", self.averaged

    def _named_parameters(self) -> dict[str, nn.Parameter]:
        return {
            f"{part}/{name}": parameter
            for part, network in (("generator", self.generator), ("critics", self._critics))
            for name, parameter in network.named_parameters()
        }


def _give(
    parameters: Iterable[nn.Parameter], parts: Sequence[Sequence[Tensor]], shares: Sequence[float]
) -> None:
    """Make the parts' gradients, in their ``shares``, those of ``parameters``; none are no part."""
    for parameter, gradients in zip_longest(parameters, zip(*parts, strict=True)):
        parameter.grad = None
        if gradients is not None:
            # Laid out as the parameter is: the optimizer reads both as they lie in memory.
            parameter.grad = torch.zeros_like(parameter)
            for gradient, share in zip(gradients, shares, strict=True):
                parameter.grad.add_(gradient, alpha=share)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Load ``weights`` into ``network``; raises ``EngineError`` when they do not fit."""
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise EngineError(
            f"expected weights of this size and version of the generator, found others in "
            f"{origin}: {str(error).splitlines()[-1].strip()}"
        ) from error


def _chunks(values: Any, size: int) -> Iterator[Any]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _section(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _optimizer_state(
    name: str, optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    return {
        f"{name}/{key}#{kind}": torch.as_tensor(value)
        for key, parameter in parameters.items()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def _load_optimizer(
    name: str,
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    for entry, value in _section(tensors, name).items():
        key, kind = entry.rsplit("#", 1)
        parameter = parameters[key]
        # Steps too: a fused optimizer counts them where it computes.
        optimizer.state[parameter][kind] = value.to(parameter.device)
