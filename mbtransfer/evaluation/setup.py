"""How episodes are run, in plain values: what a worker process needs to build the same pilot."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbtransfer.agent import action_bounds
from mbtransfer.errors import UserError
from mbtransfer.evaluation.pilot import (
    PARTICLES,
    PLANNER,
    Pilot,
    by_distance,
    learned_pilot,
    oracle_pilot,
)
from mbtransfer.goal import Rewards
from mbtransfer.objective import LearnedDynamics
from mbtransfer.planner_settings import parse_settings
from mbtransfer.prepare import Prepared, load_prepared, prepared_digest
from mbtransfer.valuation import Risk, Valuation
from planners.registry import PLANNERS
from tasks.environment import Environment
from tasks.registry import make
from tasks.spec import nearest
from tasks.task import Task
from world_models.calibration.uncertainty import DisagreementScale
from world_models.precision import Precision, name_of

if TYPE_CHECKING:
    from mbtransfer.model import Model

ELSEWHERE = (
    "model", "task_file", "device", "threads", "horizon", "candidates", "iterations", "settings",
)  # fmt: skip
"""Fields that `Setup.described` gives in another form, or that results do not depend on."""

CHOICES = {"dynamics": ("learned", "oracle"), "reward": ("learned", "true", "distance")}


@dataclass(frozen=True)
class Setup:
    """Everything that decides how an episode goes, apart from what is asked for and the seed.

    Attributes:
        env: the environment; where there is a model, its own counts.
        model: folder of the model; not needed for the oracle with true rewards.
        dynamics: `learned` or `oracle`.
        reward: `learned`, `true`, or the control `distance`.
        labels: labelled transitions behind each learned reward; None is the model's choice.
        planner: name of the planner.
        horizon: control steps that a plan looks ahead; None is the planner's default, here and below.
        candidates: plans per iteration.
        iterations: rounds of the search.
        particles: imagined futures per plan.
        settings: other settings of the planner, as NAME=VALUE.
        precision: of the model's products: float32, bfloat16 or auto.
        compile: let torch.compile fuse the model's steps.
        decision_ms: time that a decision may take; None for as long as it takes.
        discount: of rewards, per control step.
        risk: which imagined futures count; see `Valuation`.
        doubt: cost of disagreement; see `Valuation`.
        retry_after: control steps without a gain after which an episode goes back to try again; None for never.
        prepared: use what `prepare` made for a task, where it is there.
        task_file: a user's own tasks.
        device: where planning happens; `auto` is the accelerator if there is one.
        threads: of each process; results may differ in the last digits with another number.

    Raises:
        UserError: an unknown word, or a model that is needed but not given.
        PlannerError: no such planner, or a setting out of range.
    """

    env: str = "kitchen"
    model: str | None = None
    dynamics: str = "learned"
    reward: str = "learned"
    labels: int | None = None
    planner: str = PLANNER
    horizon: int | None = None
    candidates: int | None = None
    iterations: int | None = None
    particles: int = PARTICLES
    settings: tuple[str, ...] = ()
    precision: Precision = "auto"
    compile: bool = False
    decision_ms: float | None = None
    discount: float = 1.0
    risk: Risk = "mean"
    doubt: float = 0.0
    retry_after: int | None = None
    prepared: bool = True
    task_file: str | None = None
    device: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if value not in words:
                raise UserError(f"no {name} {value!r}{nearest(str(value), list(words))}")
        for name in ("particles", "threads", "labels", "retry_after"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} cannot be {value}; give at least 1")
        if self.needs_model and self.model is None:
            learned = [f"--{name} learned" for name in CHOICES if getattr(self, name) == "learned"]
            asked = " and ".join(learned)
            raise UserError(f"no model for {asked}; give --model MODEL, or --dynamics oracle --reward true")

    @property
    def needs_model(self) -> bool:
        """Whether anything learned takes part."""
        return "learned" in (self.dynamics, self.reward)

    def planner_settings(self) -> dict[str, int | float]:
        """What differs from the planner's defaults."""
        chosen = {name: getattr(self, name) for name in ("horizon", "candidates", "iterations")}
        return {name: value for name, value in chosen.items() if value is not None} | parse_settings(
            self.settings
        )

    def valuation(self) -> Valuation:
        """How imagined rewards become returns.

        Raises:
            UserError: a setting out of range.
            ModelError: doubt, but the model has no scale of disagreement.
        """
        scale = None
        if self.doubt and self.dynamics == "learned":
            model = self.load()
            scale = DisagreementScale.of(model.notes).to(model.device)
        return Valuation(self.discount, self.risk, doubt=self.doubt if scale else 0.0, scale=scale)

    def settled(self) -> "Setup":
        """The same with `auto` precision decided, so that all processes take the same one."""
        planned = self.pilot().dynamics
        if not isinstance(planned, LearnedDynamics):
            return self
        return replace(self, precision=name_of(planned.imagination.dtype))

    def environment(self) -> Environment:
        """The environment: the model's, where there is one."""
        return self.load().environment if self.needs_model else make(self.env)

    def own_tasks(self) -> tuple[Task, ...]:
        """The user's own tasks.

        Raises:
            UserError: the task file is wrong.
        """
        return _own_tasks(self, self._stamp())

    def load(self) -> "Model":
        """The model, read once.

        Raises:
            UserError: there is none, or it is damaged.
        """
        return _load(self.model or "", self.device, self._stamp())

    def pilot(self) -> Pilot:
        """Who drives the robot by these settings; built once.

        Raises:
            UserError: the model cannot be read.
            PlannerError: no such planner, or a setting out of range.
        """
        return _pilot(self, self._stamp())

    def _stamp(self) -> tuple[int, ...]:
        """When the files that this refers to were changed last: what was read before may be out of date."""
        files = [Path(self.task_file)] if self.task_file else []
        files += sorted(Path(self.model).rglob("*")) if self.model else []
        return tuple(file.stat().st_mtime_ns for file in files if file.is_file())

    def described(self) -> dict[str, Any]:
        """Every setting that results depend on, the planner's own defaults among them."""
        of_planner = asdict(PLANNERS[self.planner][1]()) | self.planner_settings()
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ELSEWHERE:
            del own[name]
        if self.dynamics == "oracle":
            for name in ("particles", "precision", "compile", "doubt"):
                del own[name]
        if isinstance(planned := self.pilot().dynamics, LearnedDynamics):
            own["precision"] = name_of(planned.imagination.dtype)
        own["labels"] = self.pilot().labels
        own["model_digest"] = self.load().digest if self.needs_model else None
        own["prepared"] = prepared_digest(Path(self.model)) if self.model and self.prepared else ""
        return own | {"planner_settings": of_planner}


@lru_cache(maxsize=2)
def _load(folder: str, device: str, stamp: tuple[int, ...]) -> "Model":
    from mbtransfer.model import Model

    return Model.load(Path(folder), device=device)


@lru_cache(maxsize=4)
def _own_tasks(setup: Setup, stamp: tuple[int, ...]) -> tuple[Task, ...]:
    if setup.task_file is None:
        return ()
    from mbtransfer.task_file import load_task_file

    return tuple(load_task_file(Path(setup.task_file), setup.environment()))


@lru_cache(maxsize=4)
def _pilot(setup: Setup, stamp: tuple[int, ...]) -> Pilot:
    model = setup.load() if setup.needs_model else None
    environment = setup.environment()
    rewards: Callable[[Sequence[Task]], Rewards] | None = None
    labels = 0
    if model is not None and setup.reward == "learned":
        labels = _labels(model, setup.labels)
        rewards = partial(model.rewards, labels=labels)
    elif setup.reward == "distance":
        rewards = by_distance
    settings = setup.planner_settings()
    if model is None or setup.dynamics == "oracle":
        pilot = oracle_pilot(
            environment, rewards=rewards, labels=labels, planner=setup.planner, settings=settings,
            valuation=setup.valuation(), decision_ms=setup.decision_ms,
        )  # fmt: skip
    else:
        pilot = learned_pilot(
            environment, model.dynamics, rewards=rewards, labels=labels, planner=setup.planner,
            settings=settings, particles=setup.particles, device=model.device,
            precision=setup.precision, compiled=setup.compile, valuation=setup.valuation(),
            decision_ms=setup.decision_ms,
        )  # fmt: skip
    pilot = replace(pilot, reward_name=setup.reward, retry_after=setup.retry_after)
    pilot.make_planner()
    return (
        replace(pilot, prepared=_prepared(setup, model))
        if model and setup.prepared and setup.reward != "distance"
        else pilot
    )


def _prepared(setup: Setup, model: "Model") -> Callable[[Task], Prepared | None]:
    folder, digest = Path(setup.model or ""), model.digest
    bounds = action_bounds(model.environment.spec, model.device)
    return lambda task: load_prepared(folder, task.name, digest, bounds)


def _labels(model: "Model", asked: int | None) -> int:
    from mbtransfer.model import LABELS

    there = len(model.pool)
    if asked is not None and asked > there:
        raise UserError(f"--labels {asked}, but the model's pool holds {there} transitions; ask for no more")
    return min(LABELS, there) if asked is None else asked
