"""Whose environment a source is of, and what of it can be worked out from what was recorded."""

import re
from collections.abc import Iterator
from dataclasses import replace

from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.exchange.source import Source
from tasks.environment import Environment, Recorded
from tasks.errors import TaskError
from tasks.registry import make
from tasks.scene import Scene

OURS = {"FrankaKitchen-v1": "franka_kitchen"}
"""Environments that others know by another name."""


def environment_of(source: Source, env: str | None) -> tuple[str, Environment | None]:
    """The environment's name, and the environment if it is one of ours.

    Args:
        source: what is imported.
        env: the name that the user gives; None leaves it to the source, which cannot name a program to be run.

    Raises:
        UserError: the source names a program.
    """
    name = env or OURS.get(source.env, source.env)
    if env is None:
        refuse_program(source.name, name)
    try:
        return name, make(name)
    except TaskError as error:
        if env and ":" in env:
            raise UserError(str(error)) from error
        return name, None


def refuse_program(source: str, env: str) -> None:
    """See to it that a file that was read does not decide what is run.

    Raises:
        UserError: the environment's name is that of a Python file or a module.
    """
    if re.match(r"\w+:.*(:|\.py)", env):
        raise UserError(f"{source} names a program as its environment, {env!r}; give --env to accept it")


def completed(source: Source, known: Environment) -> Source:
    """The source with states and our columns, where it holds what the original environment shows."""
    recorded = known.recorded
    if recorded is None or len(source.columns) != recorded.size:
        return source
    scene, columns = known.make_scene(()), tuple(column.name for column in known.spec.observation)
    return replace(source, columns=columns, episodes=lambda: _episodes(source, recorded, scene))


def _episodes(source: Source, recorded: Recorded, scene: Scene) -> Iterator[Episode]:
    for episode in source.episodes():
        states = recorded.states(episode.obs.astype(float))
        yield replace(episode, obs=scene.observe(states), state=states)
