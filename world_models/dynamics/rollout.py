"""Imagined rollouts of many plans with several particles each.

Chua et al. (2018), PETS, section 5.1: a particle stays with one member (`tsinf`), changes it at every step
(`ts1`), or all follow the members' mean (`mean`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar, get_args

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import threshold

from world_models.dynamics.blocks import Features
from world_models.dynamics.ensemble import EnsembleDynamics, bounded
from world_models.dynamics.features import FAINT, Scales, features
from world_models.dynamics.kernels import MOST_ROWS, Kernel, choices, fastest
from world_models.dynamics.layers import Layers
from world_models.dynamics.native import NativeRollout, in_c
from world_models.dynamics.precision import Precision
from world_models.errors import ModelError

Propagation = Literal["tsinf", "ts1", "mean"]

LEAST = 32
"""Rows that are worth a core of their own in C."""


@dataclass(frozen=True)
class Imagined:
    """What the model expects of R plans.

    Attributes:
        obs: the imagined observations, the given one first.
        particles: the same before averaging, where `mean` averages over the members.
        change: scale of each column's change in one control step.
    """

    obs: Float[Tensor, "points Q R O"]
    particles: Float[Tensor, "points P R O"]
    change: Float[Tensor, " O"]

    def disagreement(self) -> Float[Tensor, "H R O"]:
        """Spread of the particles' observations, in units of each column's scale of change."""
        paths = self.particles[1:]
        # by hand: thirty times faster than `std` along an axis that is not the last
        apart = (paths - paths.mean(dim=1, keepdim=True)) / self.change
        return apart.square().mean(dim=1).sqrt()


class Imagination:
    """An ensemble made ready to roll out: the particles' members gathered once, buffers without gradients.

    Args:
        dynamics: the fitted ensemble.
        particles: P; particle p follows elite member p, round and round.
        propagation: how particles choose members.
        precision: of the products, see `choices`; states and rewards are float32 whatever it is.
        compiled: let `torch.compile` fuse each step (on a GPU as CUDA graphs). The first call then takes
            seconds, and needs a C++ compiler on a CPU.
        rows: how many plans are usual in one call: `auto` takes the kernel that is fastest with so many.
        kernel: how layers are multiplied; None for the fastest.

    Attributes:
        kernel: the same. Gradients, and what C cannot do, go through torch in its precision.

    Raises:
        ModelError: no particles, an unknown propagation or precision, or noise that cannot be compiled.
    """

    def __init__(
        self,
        dynamics: EnsembleDynamics,
        particles: int = 3,
        propagation: Propagation = "tsinf",
        precision: Precision = "float32",
        compiled: bool = False,
        *,
        rows: int = 64,
        kernel: Kernel | None = None,
    ) -> None:
        if particles < 1 or propagation not in get_args(Propagation):
            raise ModelError(f"cannot imagine with {particles} particles and propagation {propagation!r}")
        elites = dynamics.elites.tolist()
        chosen = elites if propagation == "mean" else [elites[p % len(elites)] for p in range(particles)]
        self.particles, self._mean = len(chosen), propagation == "mean"
        self._shuffle = propagation == "ts1" and particles > 1
        self._layout, self._scales = dynamics.layout, Scales.of(dynamics.layout, dynamics.normalizer)
        self._out, self._change = dynamics.outputs, dynamics.normalizer.change
        self._local = dynamics.blocks > 1
        self._noisy = dynamics.config.head == "gaussian"
        blocks = torch.cat([torch.arange(dynamics.blocks) + e * dynamics.blocks for e in chosen])
        weights, biases = ([p.detach()[blocks] for p in ps] for ps in dynamics.stacked())
        moves = dynamics.moves.detach().T
        limited = torch.tensor(dynamics.layout.limited)
        low, high = torch.tensor(dynamics.layout.low), torch.tensor(dynamics.layout.high)
        self._low = torch.where(limited, low, -torch.inf)[:, None].to(moves.device)
        self._high = torch.where(limited, high, torch.inf)[:, None].to(moves.device)
        if kernel is None:
            plain = not (compiled or self._shuffle or self._noisy or dynamics.attention)
            able = choices(precision, moves.device, in_c() if plain else ())
            kernel = able[0] if compiled else self._fastest(able, dynamics, particles, propagation, rows)
        self.kernel = kernel
        hears = dynamics.attention
        attention = None if hears is None else (hears.ask.detach()[chosen], hears.answer.detach()[chosen])
        always = Features.of(dynamics.layout).zero + 1
        self._layers = Layers(weights, biases, dynamics.reads, always, kernel, attention)
        self._moves = moves.expand(self.particles, -1, -1).contiguous()
        self._native = None
        if kernel.engine == "native":
            self._native = NativeRollout(
                self._layout, self._scales, weights, biases, dynamics.reads, moves, self._low, self._high,
                self.particles, self._mean, kernel.precision,
            )  # fmt: skip
        self._fused = self._compiled() if compiled else None

    def __call__(
        self,
        obs: Float[Tensor, "R O"],
        actions: Float[Tensor, "R H A"],
        generator: torch.Generator | None = None,
    ) -> Imagined:
        """Follow R plans, each from its own observation; with a gradient where the plans ask for one.

        Raises:
            ModelError: the steps are to be compiled, and cannot be.
        """
        plans = rearrange(actions, "r h a -> h a r")
        with torch.set_grad_enabled(actions.requires_grad and torch.is_grad_enabled()):
            if torch.is_grad_enabled():
                path = self._followed(obs, plans, generator)
            else:
                path = self._in_parts(obs, plans, generator)
        particles = rearrange(path, "points p o r -> points p r o")
        obs_path = particles.mean(dim=1, keepdim=True) if self._mean else particles
        return Imagined(obs_path, particles, self._change)

    def step(
        self,
        obs: Float[Tensor, "P O R"],
        action: Float[Tensor, "P A R"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "P O R"]:
        """One control step of R roll-outs of each particle, each with an action of its own; with its gradient."""
        return self._step(obs, action, None, generator)

    def multiply(self, steps: int, rows: int) -> None:
        """The products of so many steps of R = `rows` plans, and nothing else: what a speed is compared with."""
        size = self._rows_at_once(rows)
        parts = [min(size, rows - first) for first in range(0, rows, size)]
        each_apart(partial((self._native or self._layers).multiply, steps), parts)

    @staticmethod
    def _fastest(
        able: list[Kernel], dynamics: EnsembleDynamics, particles: int, propagation: Propagation, rows: int
    ) -> Kernel:
        """The fastest at two steps of plans about the middle of all observations."""
        rows = min(MOST_ROWS, 1 << max(0, rows - 1).bit_length())
        work = {
            "members": particles, "blocks": dynamics.blocks, "inputs": dynamics.reads.shape[1],
            "hidden": dynamics.config.hidden, "layers": dynamics.config.layers, "outputs": dynamics.outputs,
            "columns": dynamics.layout.obs_size, "rows": rows,
        }  # fmt: skip
        source, normal = torch.Generator().manual_seed(0), dynamics.normalizer
        obs = normal.centre + normal.scale * torch.randn(rows, dynamics.layout.obs_size, generator=source)
        plans = torch.rand(rows, 2, dynamics.layout.action_size, generator=source)

        def trial(kernel: Kernel) -> Callable[[], object]:
            return partial(Imagination(dynamics, particles, propagation, kernel=kernel), obs, plans, source)

        with torch.no_grad():
            return fastest(able, work, trial)

    def _compiled(self) -> Callable[..., Tensor]:
        if self._shuffle or self._noisy:
            raise ModelError(
                "a model with noise of its own, or ts1, cannot be compiled; leave compilation out"
            )
        self._layers.keeps = False  # the compiler plans the memory
        way: dict[str, Any] = {"options": {"cpp_wrapper": True}}
        if self._moves.is_cuda:
            way = {"mode": "reduce-overhead"}
        return torch.compile(self._step, dynamic=False, **way)

    def _followed(
        self, obs: Float[Tensor, "R O"], plans: Float[Tensor, "H A R"], generator: torch.Generator | None
    ) -> Float[Tensor, "points P O R"]:
        steps = [repeat(obs, "r o -> p o r", p=self.particles)]
        for plan in plans:
            steps.append(self._step(steps[-1], plan, None, generator))
        return torch.stack(steps)

    def _in_parts(
        self, obs: Float[Tensor, "R O"], plans: Float[Tensor, "H A R"], generator: torch.Generator | None
    ) -> Float[Tensor, "points P O R"]:
        """Rows in parts that fit into the caches, side by side unless they share a generator or a program."""

        def follow(part: tuple[Tensor, Tensor]) -> Tensor:
            return self._filled(*part, generator)

        size = self._rows_at_once(len(obs))
        parts = list(zip(obs.split(size), plans.split(size, dim=2), strict=True))
        in_turn = self._shuffle or self._noisy or self._fused is not None
        paths = [follow(part) for part in parts] if in_turn else each_apart(follow, parts)
        return paths[0] if len(paths) == 1 else torch.cat(paths, dim=-1)

    def _rows_at_once(self, rows: int) -> int:
        """See `Layers.rows_at_once`; C has no use for parts but one for each core."""
        if self._native is None:
            return self._layers.rows_at_once(rows)
        return max(LEAST, -(-rows // torch.get_num_threads()))

    def _filled(
        self, obs: Float[Tensor, "R O"], plans: Float[Tensor, "H A R"], generator: torch.Generator | None
    ) -> Float[Tensor, "points P O R"]:
        """The same without gradients: each step is written where it belongs."""
        if self._native is not None:
            return self._native(obs, plans)
        path = obs.new_empty(len(plans) + 1, self.particles, obs.shape[1], len(obs))
        path[0] = obs.T
        for t, plan in enumerate(plans.contiguous()):
            if self._fused is None:
                self._step(path[t], plan, path[t + 1], generator)
            else:
                path[t + 1] = self._compiled_step(path[t], plan)
        return path

    def _compiled_step(self, obs: Tensor, action: Tensor) -> Tensor:
        assert self._fused is not None
        try:
            return self._fused(obs, action, None, None)
        except RuntimeError as error:  # the compiler's own errors are private to torch, but all of this kind
            raise ModelError(
                "steps cannot be compiled here: is there a C++ compiler such as g++? Else leave compilation out"
            ) from error

    def _step(
        self, obs: Tensor, action: Tensor, out: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """One control step of every particle, written into `out` if given; all are [P, columns, R]."""
        if self._shuffle:
            order = torch.randperm(self.particles, generator=generator, device=obs.device)
            obs = obs[order]
        if self._mean:
            obs = obs.mean(dim=0, keepdim=True).expand_as(obs)
        inputs, local = features(self._layout, self._scales, obs, action.expand(self.particles, -1, -1))
        raw = self._layers(inputs).unflatten(0, (self.particles, -1))
        moved = raw[:, :, : self._out].float()
        if self._noisy:
            deviation = (bounded(raw[:, :, self._out :].float()) / 2).exp()
            noise = torch.randn(moved.shape, generator=generator, device=moved.device)
            moved = moved + deviation * noise
        if self._local:
            moved[:, 1:] *= threshold(local, FAINT, 0.0)[:, :, None]
        new = torch.baddbmm(obs, self._moves, moved.flatten(1, 2), out=out)
        return torch.clamp(new, self._low, self._high, out=out)


Part = TypeVar("Part")
Result = TypeVar("Result")


def each_apart(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """The work on every part, without gradients; as many threads as torch was given share it."""

    @torch.no_grad()
    def on_one_core(part: Part) -> Result:
        torch.set_num_threads(1)  # it holds for the thread that calls, and is not inherited
        return work(part)

    threads = min(len(parts), torch.get_num_threads())
    if threads == 1:
        return [work(part) for part in parts]
    return list(_crew(threads).map(on_one_core, parts))


@lru_cache(maxsize=1)
def _crew(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="imagination")
