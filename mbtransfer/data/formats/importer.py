"""Import of a source: check every episode, then append all of them."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from mbtransfer.data import Dataset, Header
from mbtransfer.data.dataset import refuse_unfit
from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import content_digest
from mbtransfer.data.formats.source import Limits, Source
from mbtransfer.data.header import is_dataset, keep_declaration, read_header
from mbtransfer.data.log_notes import keep_notes
from mbtransfer.data.shards import KEY_PATTERN
from mbtransfer.errors import UserError
from tasks.environment import Environment, Recorded
from tasks.errors import TaskError
from tasks.registry import make, make_recorded
from tasks.simulator import Simulator
from tasks.spec import Variable
from tasks.trusted_code import named_code


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


OURS = {"FrankaKitchen-v1": "franka_kitchen"}
"""Environments that others know by another name."""


def environment_of(source: Source, env: str | None) -> tuple[str, Environment | None]:
    """The environment's name, and the environment if it is one of ours.

    Args:
        source: what is imported.
        env: the name that the user gives; None leaves it to the source, which cannot name code to be run.

    Raises:
        UserError: the source names Python code.
    """
    name = env or OURS.get(source.env, source.env)
    if env is None:
        refuse_code(source.name, name)
    try:
        return name, make(name) if env else make_recorded(name, source.name)
    except TaskError as error:
        if env and ":" in env:
            raise UserError(str(error)) from error
        return name, None


def refuse_code(source: str, env: str) -> None:
    """See to it that a file that was read does not decide what is run.

    Raises:
        UserError: the environment's name is that of Python code.
        TaskError: the name cannot be read.
    """
    if named_code(env):
        raise UserError(f"{source} names Python code as its environment, {env!r}; give --env to accept it")


def completed(source: Source, known: Environment) -> Source:
    """The source with states and our columns, where it holds what the original environment shows."""
    recorded = known.recorded
    if recorded is None or len(source.columns) != recorded.size:
        return source
    scene, columns = known.make_scene(()), tuple(column.name for column in known.spec.observation)
    return replace(source, columns=columns, episodes=lambda: _episodes(source, recorded, scene))


def _episodes(source: Source, recorded: Recorded, scene: Simulator) -> Iterator[Episode]:
    for episode in source.episodes():
        states = recorded.states(episode.obs.astype(float))
        yield replace(episode, obs=scene.observe(states), state=states)


EPISODES = 50
"""Episodes per unit, where the source does not tell."""

Unit = tuple[str, list[Episode]]


def cut(source: Source) -> Iterator[Unit]:
    """All episodes of a source, in units.

    What was exported from a dataset of ours keeps its units, as long as nobody has changed what is in them.
    """
    for index, (claimed, episodes) in enumerate(_parts(source)):
        digest = content_digest(episodes)
        if claimed[1] == digest and KEY_PATTERN.fullmatch(claimed[0]):
            yield claimed[0], episodes
        else:
            slug = re.sub(r"[^A-Za-z0-9]+", "-", source.name).strip("-")[:60] or "import"
            yield f"{slug}-{index:05d}-{digest[:16]}", episodes


def _parts(source: Source) -> Iterator[tuple[tuple[str, str], list[Episode]]]:
    if source.keys:
        pairs = zip(source.keys, source.episodes(), strict=False)
        for claimed, whole in itertools.groupby(pairs, lambda pair: pair[0]):
            yield claimed, [episode for _, episode in whole]
        return
    episodes = source.episodes()
    while part := list(itertools.islice(episodes, EPISODES)):
        yield ("", ""), part


@dataclass(frozen=True)
class Taken:
    """What an import has done: episodes and steps added, and episodes that were there before."""

    dataset: Dataset
    episodes: int
    steps: int
    before: int


def take_in(source: Source, out: Path, env: str | None = None, control_dt: float | None = None) -> Taken:
    """Append all episodes of a source to a dataset; again adds nothing, after a kill it continues.

    Args:
        source: what to import.
        out: folder of the dataset, new or to be added to.
        env: name of the environment; None is what the source tells.
        control_dt: seconds per control step of an environment that is not ours; None is what the source tells.

    Raises:
        UserError: an episode that cannot be used, or a dataset of something else. Nothing is written then.
    """
    if source.header and env in (None, source.header.env):
        if env is None:
            refuse_code(source.name, source.header.env)
        found, header, known = survey(source), source.header, None
    else:
        name, known = environment_of(source, env)
        source = source if known is None else completed(source, known)
        found = survey(source)
        header = header_of(source, found, (name, known), control_dt)
        if known is None and is_dataset(out):
            present = read_header(out)  # its ranges were taken from what was imported first
            header = present if same_but_ranges(present, header) else header
    digests = list[str]()
    for key, episodes in cut(source):
        refuse_unfit(episodes, header)
        digests.append(key)
    dataset = Dataset.open_or_create(out, header)
    keep_declaration(out, known)
    added = steps = 0
    for key, episodes in cut(source):
        if dataset.append(episodes, key):
            added, steps = added + len(episodes), steps + sum(map(len, episodes))
    if source.notes is not None:
        content = hashlib.sha256("".join(digests).encode()).hexdigest()
        keep_notes(out, source.notes.as_dict(), content)
    return Taken(dataset, added, steps, found.episodes - added)
