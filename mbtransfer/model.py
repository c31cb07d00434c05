"""A fitted model: shared dynamics, a sample of its data, and reward heads on demand."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.data.coverage import Coverage
from mbtransfer.data.header import keep_declaration
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.task_guard import check_finite
from tasks.environment import Environment
from tasks.logged.scene import LoggedScene
from tasks.registry import make_recorded
from tasks.simulator import Simulator
from tasks.spec import EnvSpec
from tasks.task import Task
from world_models.checkpoint.atomic import listed
from world_models.checkpoint.checkpoint import load_dynamics, load_tensors, save_dynamics, save_tensors
from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Body, Layout
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads
from world_models.transitions import Transitions, check_sizes

POOL = 20_000
"""Transitions of the pool that travel with a model: for labels of new tasks, and for replay."""

LABELS = 10_000
"""Labels behind each reward head, unless fewer are asked for."""


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU if there is one.

    Raises:
        ModelError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} is not to be had here; use auto or cpu") from error


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """What `fit` makes and every other command uses.

    Attributes:
        environment: the world that it models.
        dynamics: the shared ensemble; it knows of no task.
        pool: a sample of the pooled transitions, on the model's device.
        coverage: where the whole pool has been.
        notes: what the report and `check` want to know of the fit: curves, errors, scales of disagreement.
        heads: reward heads fitted so far, by task and number of labels.
        states: the simulator's states before and after each of them, where tasks are judged by these.
    """

    environment: Environment
    dynamics: EnsembleDynamics
    pool: Transitions
    coverage: Coverage
    notes: dict[str, Any]
    heads: dict[tuple[Task, int], RewardHeads] = field(default_factory=dict)
    states: Float[Tensor, "B 2 S"] | None = None

    def __repr__(self) -> str:
        """One line for people."""
        shape, n = self.dynamics.config, self.notes.get("transitions", len(self.pool))
        return (
            f"Model({self.environment.spec.name!r}: {shape.members} members of {shape.layers} x {shape.hidden} units, "
            f"fitted on {n:,} transitions; {len(self.heads)} reward heads; {self.device})"
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pool.obs.device

    @property
    def digest(self) -> str:
        """What the model is: changes with any weight and any transition of the sample."""
        tensors = dict(self.dynamics.state_dict()) | vars(self.pool)
        return digest({name: tensor.cpu() for name, tensor in tensors.items()})[:16]

    def rewards(self, tasks: Sequence[Task], labels: int | None = None) -> RewardHeads:
        """Learned heads of these tasks, each fitted on `labels` relabelled transitions of the pool.

        Raises:
            ModelError: more labels than the sample has transitions.
        """
        n = self.label_count(labels)
        heads = RewardHeads(self.dynamics.layout)
        for task in tasks:
            if (task, n) not in self.heads:
                fitted = RewardHeads(self.dynamics.layout)
                fitted.add(task.name, self.label(task, n))
                self.heads[task, n] = fitted
            heads.heads[task.name] = self.heads[task, n].heads[task.name]
        return heads

    def label_count(self, asked: int | None) -> int:
        """How many labels a head is fitted on: as many as are asked for, or `LABELS`, or all that there are.

        Raises:
            ModelError: more are asked for than the sample has transitions.
        """
        n = min(LABELS, len(self.pool)) if asked is None else asked
        if n > len(self.pool):
            raise ModelError(f"{n} labels asked for, but the model's pool holds {len(self.pool)} transitions")
        return n

    def label(self, task: Task, n: int) -> Labels:
        """Rewards and successes of n transitions of the pool, drawn by the task's name; a labelled task has its own.

        Raises:
            FaultyTask: a reward is not finite.
        """
        if isinstance(task, LabelledTask):
            return Labels(*(part.to(self.device) for part in vars(task.labels).values()))
        rows = self.draw(task.name)[:n]
        some = self.pool[rows]
        before, after = some.obs, some.next_obs
        if task.privileged:
            before, after = self._widened(task, before, rows, 0), self._widened(task, after, rows, 1)
        reward = task.reward(before, some.actions, after)
        check_finite(task, reward)
        return Labels(some.obs, some.actions, some.next_obs, reward, task.success(after))

    def draw(self, name: str) -> Int[Tensor, " B"]:
        """All rows of the pool in the order in which they are labelled for the task of that name."""
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        return torch.randperm(len(self.pool), generator=generator).to(self.device)

    def _widened(self, task: Task, obs: Tensor, rows: Tensor, end: int) -> Tensor:
        if self.states is None:
            raise ModelError(
                f"task {task.name!r} is judged by states, and this model's pool has none; fit it again"
            )
        return torch.cat([obs.double(), self.states[rows, end]], dim=-1)

    def scene(self) -> Simulator:
        """The simulator; where there is none, a stand-in that begins episodes at observations of the pool."""
        if self.environment.simulated:
            return self.environment.make_scene(())
        return LoggedScene(self.environment.spec, self.pool.obs.cpu().numpy())

    def with_dynamics(self, dynamics: EnsembleDynamics, **changes: Any) -> "Model":
        """The same model with other dynamics; heads are unchanged, as they never saw the dynamics."""
        return replace(self, dynamics=dynamics, **changes)

    def save(self, folder: Path) -> None:
        """Write the model; an older one in that folder is replaced only when the new one is whole.

        Raises:
            ModelError: the folder cannot be written.
        """
        tensors = vars(self.pool) | ({} if self.states is None else {"states": self.states})
        name = f"pool-{digest({key: value.cpu() for key, value in tensors.items()})[:16]}.safetensors"
        save_tensors(folder / name, tensors)
        extra = {"env": self.environment.spec.name, "pool": name, "coverage": dict(self.coverage.moves)}
        save_dynamics(
            folder, self.dynamics, extra | {"notes": self.notes}, data_hash=self.notes.get("data", "")
        )
        keep_declaration(folder, self.environment)
        for older in listed(folder, "pool-*.safetensors"):
            if older.name != name:
                older.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto", *, trust_code: bool = False) -> "Model":
        """Read a model back.

        Args:
            folder: the model's.
            device: where to put it.
            trust_code: run the Python file or module that the model names as its environment, if it does.

        Raises:
            ModelError: not a model, damaged, or of another environment.
            TaskError: there is no such environment, or it would run code that is not trusted.
        """
        home, where = Path(folder), pick_device(device)
        dynamics, manifest = load_dynamics(home, device=where)
        extra = manifest["extra"]
        if not {"env", "pool", "coverage", "notes"} <= extra.keys():
            raise ModelError(f"{home} holds dynamics without a pool; fit a model with `mbtransfer fit`")
        environment = make_recorded(str(extra["env"]), str(home), trust_code=trust_code)
        if dynamics.layout != model_layout(environment.spec):
            raise ModelError(f"the model in {home} is of another {extra['env']}; fit it again")
        tensors, _ = load_tensors(home / Path(extra["pool"]).name)
        states = tensors.pop("states", None)
        if tensors.keys() != {"obs", "actions", "next_obs"}:
            raise ModelError(f"{home / extra['pool']} is not the pool of a model; fit it again")
        pool = Transitions(**tensors).to(where)
        check_sizes(pool, dynamics.layout)
        states = None if states is None else states.to(where)
        return cls(environment, dynamics, pool, Coverage(extra["coverage"]), extra["notes"], states=states)


def model_layout(spec: EnvSpec) -> Layout:
    """Columns, limits and bodies of a spec; fixtures that share a handle are one body, with what they are linked to.

    The arm is part of the hand: every block reads it, and moves it as it moves the hand's velocity.
    """
    limited = set(spec.hand) | {c for fixture in spec.fixtures for c in (fixture.position, *fixture.linked)}
    handles: dict[tuple[int, int, int], list[int]] = {}
    for i, fixture in enumerate(spec.fixtures):
        handles.setdefault(fixture.handle, []).append(i)
    objects = tuple(
        Body(
            "+".join(spec.fixtures[i].name for i in members),
            (*(spec.fixtures[i].position for i in members), *_linked(spec, members)),
            tuple(spec.fixtures[i].velocity for i in members),
            handle,
        )
        for handle, members in handles.items()
    )
    return Layout(
        columns=tuple(variable.name for variable in spec.observation),
        low=tuple(variable.low for variable in spec.observation),
        high=tuple(variable.high for variable in spec.observation),
        limited=tuple(i in limited for i in range(spec.obs_size)),
        action_size=spec.action_size,
        hand=Body("hand", spec.hand, (*spec.hand_velocity, *spec.arm)) if objects else None,
        objects=objects,
        hand_actions=spec.hand_actions or (),
        angles=spec.angles,
        axes=spec.axes,
        constant=spec.constant,
    )


def _linked(spec: EnvSpec, members: list[int]) -> tuple[int, ...]:
    """Columns that some fixtures are linked to, each once."""
    return tuple(dict.fromkeys(column for i in members for column in spec.fixtures[i].linked))
