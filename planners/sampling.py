"""Sampling-based planning: the loop that all sampling planners share, coloured noise and splines.

    mean, std = start, std * half
    repeat:
        candidates = clamp(mean + std * noise)
        mean, std  = update(candidates, returns of the candidates)

Coloured noise: Timmer and Koenig (1995), "On generating power law noise"; in planning, Pinneri et al. (2020), iCEM,
section 3.1. Splines of few knots: Howell et al. (2022), "Predictive sampling", MuJoCo MPC, section 4.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.search import SearchState, join

Count = Annotated[int, Ge(1)]
Amount = Annotated[float, Ge(0)]
Positive = Annotated[float, Ge(1e-6)]
Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of every planner that draws candidates, each with its range."""

    __pydantic_config__: ClassVar[Any] = {"allow_inf_nan": False}

    horizon: Count = 12
    """Control steps that a plan looks ahead."""
    candidates: Count = 64
    """Plans drawn in each iteration."""
    noise_beta: Amount = 2.0
    """Colour of the noise: 0 white, 2 a random walk."""
    std: Amount = 0.7
    """First spread, as a share of half the action range."""
    knots: Annotated[int, Ge(0)] = 0
    """Spline knots at which the noise is drawn; 0 draws it at every step."""


@dataclass(frozen=True)
class SamplingState:
    """What a sampling planner knows between two iterations.

    Attributes:
        mean: centre of the sampling distribution.
        std: its spread.
        noise: unit noise of each iteration, drawn at once.
        kept: plans that are scored besides those drawn: proposals, and elites that are kept.
        elites: the best candidates of the last iteration, best first, of planners that rank them.
        elite_returns: their returns.
    """

    mean: Float[Tensor, "B H A"]
    std: Float[Tensor, "B H A"]
    noise: Sequence[Float[Tensor, "B _ H A"]]
    kept: Float[Tensor, "B M H A"] | None = None
    elites: Float[Tensor, "B K H A"] | None = None
    elite_returns: Float[Tensor, "B K"] | None = None

    def updated(self, **changes: Any) -> "SamplingState":
        """The state after an iteration."""
        return replace(self, **changes)


class SamplingPlanner(ABC):
    """The loop of a sampling planner: draw candidates, score them, update the distribution.

    A planner defines `update`, and overrides the other steps where it differs: `noise`, `initial`, `sample`, `result`.
    """

    config_type: ClassVar[type[SamplingConfig]]
    """Settings of the planner: a frozen dataclass whose defaults can be replaced on the command line."""
    config: Any
    """The settings of this planner, of `config_type`."""
    iterations: int
    """Times that candidates are scored in one decision."""

    def __init__(self, config: SamplingConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon
        self.iterations = getattr(config, "iterations", 1)
        self.sampler = Sampler(config, bounds)

    @torch.no_grad()
    def plan(
        self,
        objective: Objective,
        start: Float[Tensor, "B H A"],
        generator: torch.Generator,
        *,
        proposals: Float[Tensor, "B M H A"] | None = None,
        deadline: float | None = None,
    ) -> Plan:
        """See `Planner.plan`."""
        search = SearchState(objective, start, deadline)
        proposals = None if proposals is None else self.bounds.clamp(proposals)
        return self.result(search, self.search(search, self.initial(start, proposals, generator)))

    def search(self, search: SearchState, state: SamplingState) -> SamplingState:
        """All iterations; the best of the elites, where there are any, are remembered."""
        for i in search.rounds(self.iterations):
            candidates = self.sample(state, i)
            state = self.update(state, candidates, search.score(candidates))
            if state.elites is not None and state.elite_returns is not None:
                search.consider(state.elites[:, 0], state.elite_returns[:, 0])
        return state

    @abstractmethod
    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """The distribution after an iteration; returns that are not finite are `worst(returns)`."""

    def initial(
        self,
        start: Float[Tensor, "B H A"],
        proposals: Float[Tensor, "B M H A"] | None,
        generator: torch.Generator,
    ) -> SamplingState:
        """The distribution before the first iteration: around the start plan; proposals are always candidates."""
        std = (self.config.std * self.bounds.half).expand_as(start)
        return SamplingState(start, std, self.noise(len(start), generator), proposals)

    def noise(self, batch: int, generator: torch.Generator) -> Sequence[Float[Tensor, "B N H A"]]:
        """Unit noise of every iteration."""
        return self.sampler.draw(self.iterations, batch, self.config.candidates, generator=generator).unbind()

    def sample(self, state: SamplingState, iteration: int) -> Float[Tensor, "B N H A"]:
        """The candidates of an iteration."""
        drawn = self.bounds.clamp(state.mean[:, None] + state.std[:, None] * state.noise[iteration])
        return join(drawn, state.kept)

    def result(self, search: SearchState, state: SamplingState) -> Plan:
        """The plan: the last mean."""
        return search.finish(state.mean, state.std, state.elites)


class Sampler:
    """Draws noise of the shape of plans, with unit variance at each step.

    Noise at knots has that too: each step is divided by the standard deviation that the knots' weights and
    covariance give it.
    """

    def __init__(self, config: SamplingConfig, bounds: Bounds) -> None:
        self._beta, self._spline = config.noise_beta, None
        self._bounds, self._std = bounds, config.std
        self._shape = (config.knots or config.horizon, bounds.low.shape[0])
        if config.knots:
            weights = spline(config.horizon, config.knots)
            variance = ((weights @ autocovariance(config.knots, config.noise_beta)) * weights).sum(dim=1)
            self._spline = (weights / variance.sqrt()[:, None]).to(bounds.low.device)

    def draw(self, *batch: int, generator: torch.Generator) -> Float[Tensor, "*b H A"]:
        """Noise for as many plans as `batch` says; one draw serves all iterations of a decision."""
        noise = coloured_noise((*batch, *self._shape), self._beta, generator)
        return noise if self._spline is None else self._spline @ noise

    def around_middle(self, batch: int, n: int, generator: torch.Generator) -> Float[Tensor, "B N H A"]:
        """N = n plans spread over the box, for each episode."""
        noise = self.draw(batch, n, generator=generator) * self._std
        return self._bounds.clamp(self._bounds.middle + self._bounds.half * noise)


def coloured_noise(
    shape: tuple[int, ...], beta: float, generator: torch.Generator
) -> Float[Tensor, "*b H A"]:
    """Sequences of unit variance along the second last axis; beta 0 is white, 2 is a random walk.

    Args:
        shape: (..., H, A).
        beta: exponent of the power spectrum.
        generator: source of randomness; its device is the result's.
    """
    *batch, steps, size = shape
    device = generator.device
    if beta == 0.0 or steps < 2 or 0 in shape:
        return torch.randn(shape, generator=generator, device=device)
    scale, real, imaginary, sigma = _spectrum(steps, beta, device)
    parts = torch.randn((2, *batch, size, scale.numel()), generator=generator, device=device) * scale
    parts = torch.complex(parts[0] * real, parts[1] * imaginary)
    return (torch.fft.irfft(parts, n=steps, dim=-1) / sigma).transpose(-1, -2).contiguous()


def autocovariance(steps: int, beta: float) -> Float[Tensor, "H H"]:
    """Covariance of every two steps of a sequence; it goes round, so the last step is next to the first."""
    if beta == 0.0 or steps < 2:
        return torch.eye(steps)
    power = _spectrum(steps, beta, torch.device("cpu"))[0] ** 2
    by_lag = torch.fft.irfft(power, n=steps)
    lag = torch.arange(steps)
    return by_lag[lag[:, None] - lag] / by_lag[0]  # a negative index goes round too


@lru_cache(maxsize=16)
def _spectrum(steps: int, beta: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Amplitude by frequency, weight of its real and of its imaginary part, standard deviation of a sample."""
    frequency = torch.fft.rfftfreq(steps, device=device)
    frequency[0] = 1.0 / steps
    scale = frequency ** (-beta / 2)
    # The lowest frequency, and of an even number of steps the highest, is real and has no mirror image.
    real, imaginary = torch.ones_like(scale), torch.ones_like(scale)
    alone = [0, -1] if steps % 2 == 0 else [0]
    for i in alone:
        real[i], imaginary[i] = 2**0.5, 0.0
    weight = scale[1:].clone()
    if steps % 2 == 0:
        weight[-1] /= 2**0.5
    # Variance of a sample: the zero frequency counts half of what the paired ones do.
    sigma = 2 * ((weight**2).sum() + scale[0] ** 2 / 2).sqrt() / steps
    return scale, real, imaginary, sigma


def spline(steps: int, knots: int) -> Float[Tensor, "H K"]:
    """The matrix that takes K evenly spaced knots to H steps by cubic Hermite pieces (Catmull-Rom slopes).

    It goes through each knot, the first and last step among them; its rows sum to 1; with K = H it is the identity.
    """
    if knots == 1:
        return torch.ones(steps, 1)
    values = np.eye(knots)
    curve = CubicHermiteSpline(np.arange(knots), values, np.gradient(values, axis=0))
    return torch.from_numpy(curve(np.linspace(0, knots - 1, steps))).float()
