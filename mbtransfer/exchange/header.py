"""What a dataset of imported episodes says about its columns: a known environment's words, or those of the data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from mbtransfer.dataset import Header
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.exchange.source import Limits, Source
from tasks.environment import Environment
from tasks.spec import Variable


@dataclass(frozen=True)
class Survey:
    """What one pass over all episodes has found."""

    episodes: int
    steps: int
    state_size: int
    obs: Limits
    actions: Limits


def survey(source: Source) -> Survey:
    """Go through all episodes once; they must have the same columns.

    Raises:
        UserError: no episodes, or sizes that differ.
    """
    first: Episode | None = None
    episodes = steps = 0
    seen = dict[str, Limits]()
    for episode in source.episodes():
        first = first or episode
        sizes = [(len(e.obs[0]), len(e.actions[0]), len(e.state[0])) for e in (first, episode)]
        if sizes[0] != sizes[1]:
            widths = " and ".join(f"{o} obs, {a} action and {s} state columns" for o, a, s in sizes)
            raise UserError(f"{source.name}: {first.label} and seed {episode.seed} differ: {widths}")
        for name in ("obs", "actions"):
            seen[name] = _widened(seen.get(name), getattr(episode, name))
        episodes, steps = episodes + 1, steps + len(episode)
    if first is None:
        raise UserError(f"{source.name} holds no whole transitions")
    if len(first.obs[0]) != len(source.columns):
        raise UserError(f"{source.name}: {first.label} has other observation columns than the first one")
    if not len(first.actions[0]):
        raise UserError(f"{source.name} has no action columns")
    return Survey(episodes, steps, len(first.state[0]), seen["obs"], seen["actions"])


def header_of(
    source: Source, found: Survey, env: tuple[str, Environment | None], control_dt: float | None
) -> Header:
    """The header for a source: that of its environment, if it is one of ours, else one made from the data.

    Raises:
        UserError: the sizes do not fit the environment.
    """
    name, known = env
    if known is not None:
        return _of_environment(source, found, known)
    observation = _columns(source.columns, found.obs, source.observation)
    actions = [f"action_{i}" for i in range(len(found.actions[0]))]
    clock = source.control_dt if control_dt is None else control_dt
    return Header(name, observation, _columns(actions, found.actions, source.action), found.state_size, clock)


def _widened(seen: Limits | None, values: ndarray) -> Limits:
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    return (low, high) if seen is None else (np.minimum(seen[0], low), np.maximum(seen[1], high))


def _of_environment(source: Source, found: Survey, known: Environment) -> Header:
    spec = known.spec
    state_size = known.make_scene(()).state_size if found.state_size else 0
    for what, has, needs in (
        ("observation columns", len(found.obs[0]), spec.obs_size),
        ("action columns", len(found.actions[0]), spec.action_size),
        ("state values", found.state_size, state_size),
    ):
        if has != needs:
            other = "choose another name with --env"
            raise UserError(f"{source.name} has {has} {what}, environment {spec.name!r} {needs}; {other}")
    return Header.of(spec, state_size)


def _columns(names: Iterable[str], seen: Limits, limits: Limits | None) -> tuple[Variable, ...]:
    """Limits that the source states, and where it states none the range seen."""
    low, high = (
        side if limits is None else np.where(np.isfinite(limit), limit, side)
        for side, limit in zip(seen, limits or seen, strict=True)
    )
    return tuple(_column(name, *pair) for name, pair in zip(names, zip(low, high, strict=True), strict=True))


def _column(name: str, low: float, high: float) -> Variable:
    return Variable(name, "", float(low), float(high))


def same_but_ranges(header: Header, other: Header) -> bool:
    """Whether two headers differ in nothing but the ranges of their columns."""
    return _without_ranges(header) == _without_ranges(other)


def _without_ranges(header: Header) -> Header:
    observation, action = (
        tuple(replace(column, low=0.0, high=0.0) for column in side)
        for side in (header.observation, header.action)
    )
    return replace(header, observation=observation, action=action)
