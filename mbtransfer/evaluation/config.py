"""Evaluation settings as plain values, from which each worker builds its controller."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from mbtransfer.config import DecisionFlags, parse_settings
from mbtransfer.errors import UserError
from mbtransfer.evaluation.task_selection import find_task, find_task_or_recipe
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import LABELS, Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.controller import (
    PARTICLES,
    PLANNER,
    Controller,
    by_distance,
    model_controller,
    simulator_controller,
)
from mbtransfer.mpc.late_agent import Clock
from mbtransfer.mpc.objective import LearnedDynamics, ReturnEstimator, Risk
from mbtransfer.mpc.task_policy import load_prepared, prepared_digest
from mbtransfer.mpc.task_reward import Rewards
from mbtransfer.task_file import load_task_file
from planners.registry import find_planner
from tasks.environment import Environment
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.registry import make
from tasks.spec import nearest
from tasks.task import Task
from tasks.trusted_code import named_code
from world_models.dynamics.precision import Precision
from world_models.uncertainty.disagreement import DisagreementScale

CLOCK = ("latencies_ms", "measured", "clock_speed", "compensate")
"""Fields that count where the world does not wait."""

ELSEWHERE = (
    "model", "task_file", "device", "threads", "horizon", "candidates", "iterations", "settings",
    "trust_code", *CLOCK,
)  # fmt: skip
"""Fields that `EvalContext.described` gives in another form, or that the results do not depend on."""

WITHOUT_SIMULATOR = (
    "`mbtransfer calibration` tells the error on held-out episodes, `mbtransfer plan` plans in imagination"
)
"""What can be done with an environment that is known by logs alone."""

CHOICES = {"dynamics": ("learned", "oracle"), "reward": ("auto", "learned", "true", "distance")}


REWARDS = {"true": "as the task defines it", "distance": "nearness of hand and handle"}


@dataclass(frozen=True)
class EvalConfig:
    """All settings that determine an episode, except the task or recipe and the seed.

    Attributes:
        env: name of the environment; a model's own environment takes precedence.
        model: folder of the model; not needed for the oracle with true rewards.
        dynamics: `learned` or `oracle`.
        reward: `learned`, `true`, `auto` (see `EvalContext.decide_reward`), or the control `distance`.
        labels: labelled transitions behind each learned reward; None for the model's default.
        planner: name of the planner.
        horizon: control steps that a plan looks ahead; None for the planner's default, here and below.
        candidates: plans per iteration.
        iterations: iterations of the search.
        particles: imagined futures per plan.
        settings: other settings of the planner, as NAME=VALUE.
        precision: number format of the model's matrix products: float32, bfloat16 or auto.
        compile: compile the model with torch.compile.
        decision_ms: time budget per decision, milliseconds; None for no limit.
        discount: discount factor per control step.
        risk: which imagined futures count; see `ReturnEstimator`.
        uncertainty_penalty: cost of disagreement; see `ReturnEstimator`.
        retry_after: control steps without progress after which an episode returns to its start and tries again;
            None for never.
        prepared: use the policies and values of `prepare` where they exist.
        latencies_ms: how long decisions take, one after the other, while the world goes on; none if it waits.
        measured: they were measured, and not given.
        clock_speed: how fast the world's clock runs.
        compensate: plan for where the world will be when the plan is ready.
        task_file: Python file with the user's own tasks.
        device: where planning runs; `auto` is the accelerator if there is one.
        threads: PyTorch threads per process; another number may change the last digits of the results.
        trust_code: run the Python file or module that the model names as its environment.

    Raises:
        UserError: an unknown choice, or a model that is needed but not given.
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
    uncertainty_penalty: float = 0.0
    retry_after: int | None = None
    prepared: bool = True
    latencies_ms: tuple[float, ...] = ()
    measured: bool = False
    clock_speed: float = 1.0
    compensate: bool = True
    task_file: str | None = None
    device: str = "auto"
    threads: int = 1
    trust_code: bool = False

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

    @classmethod
    def from_flags(cls, flags: Any) -> "EvalConfig":
        """Take the settings of episodes from the flags of a command; `env` and `dynamics` are not flags of all.

        Raises:
            UserError: a model is needed but not given.
        """
        return cls(
            env=getattr(flags, "env", cls.env), model=None if flags.model is None else str(flags.model),
            dynamics=getattr(flags, "dynamics", cls.dynamics),
            reward=flags.reward or ("auto" if flags.task_file else "learned"), labels=flags.labels,
            task_file=None if flags.task_file is None else str(flags.task_file), device=flags.device,
            threads=flags.threads or 1, trust_code=flags.trust_code,
            **{flag.name: getattr(flags, flag.name) for flag in fields(DecisionFlags)},
        )  # fmt: skip

    @property
    def needs_model(self) -> bool:
        """Whether the dynamics or the reward are learned."""
        return "learned" in (self.dynamics, self.reward)

    def planner_settings(self) -> dict[str, int | float]:
        """Settings that differ from the planner's defaults."""
        chosen = {name: getattr(self, name) for name in ("horizon", "candidates", "iterations")}
        return {name: value for name, value in chosen.items() if value is not None} | parse_settings(
            self.settings
        )

    def resolve(self) -> "EvalContext":
        """Load the files that the settings name, and build the controller.

        Raises:
            UserError: a file cannot be read, or a setting is out of range.
            TaskError: no such environment.
            ModelError: the model does not fit, or has no scale for an uncertainty penalty.
            PlannerError: no such planner, or a setting out of range.
        """
        if named_code(self.env):
            make(self.env)  # the caller names it, so a model may name it too
        model = None
        if self.needs_model:
            model = Model.load(Path(self.model or ""), device=self.device, trust_code=self.trust_code)
        environment = model.environment if model else make(self.env)
        own = load_task_file(Path(self.task_file), environment) if self.task_file else ()
        controller = self.make_controller(environment, model)
        # Other processes must not decide again: neither on the precision, nor on trusting code.
        decided = replace(self, trust_code=True)
        if isinstance(planned := controller.dynamics, LearnedDynamics):
            decided = replace(decided, precision=planned.imagination.kernel.precision)
        return EvalContext(decided, environment, model, tuple(own), controller)

    def make_controller(self, environment: Environment, model: Model | None) -> Controller:
        """Build the controller of these settings.

        Raises:
            UserError, ModelError, PlannerError: see `resolve`.
        """
        rewards: Callable[[Sequence[Task]], Rewards] | None = None
        labels = 0
        if model is not None and self.reward in ("learned", "auto"):
            labels = self._labels(model)
            rewards = partial(model.rewards, labels=labels)
        elif self.reward == "distance":
            rewards = by_distance
        common: dict[str, Any] = {
            "rewards": rewards, "labels": labels, "planner": self.planner, "settings": self.planner_settings(),
            "estimator": self._estimator(model), "decision_ms": self.decision_ms,
        }  # fmt: skip
        if model is None or self.dynamics == "oracle":
            controller = simulator_controller(environment, **common)
        else:
            controller = model_controller(
                environment, model.dynamics, particles=self.particles, device=model.device,
                precision=self.precision, compiled=self.compile, **common,
            )  # fmt: skip
        controller = replace(
            controller, reward_name=self.reward, retry_after=self.retry_after, clock=self._clock(environment)
        )
        controller.make_planner()
        if model is None or not self.prepared or self.reward == "distance":
            return controller
        folder, bounds = Path(self.model or ""), action_bounds(environment.spec, model.device)
        return replace(
            controller, prepared=lambda task: load_prepared(folder, task.name, model.digest, bounds)
        )

    def _clock(self, environment: Environment) -> Clock | None:
        if not self.latencies_ms:
            return None
        return Clock.of(self.latencies_ms, environment.spec.control_dt, self.clock_speed, self.compensate)

    def _estimator(self, model: Model | None) -> ReturnEstimator:
        scale = None
        if self.uncertainty_penalty and self.dynamics == "learned" and model is not None:
            scale = DisagreementScale.of(model.notes).to(model.device)
        penalty = self.uncertainty_penalty if scale else 0.0
        return ReturnEstimator(self.discount, self.risk, uncertainty_penalty=penalty, scale=scale)

    def _labels(self, model: Model) -> int:
        there = len(model.pool)
        if self.labels is not None and self.labels > there:
            raise UserError(
                f"--labels {self.labels}, but the model's pool holds only {there} transitions; give at most that"
            )
        return min(LABELS, there) if self.labels is None else self.labels


@dataclass(frozen=True)
class EvalContext:
    """The objects built from the settings by `EvalConfig.resolve`, once per process.

    Attributes:
        config: the settings, with everything decided that other processes must not decide again.
        environment: the environment of the model, if there is one.
        model: the model; None if nothing is learned.
        own_tasks: the user's own tasks and recipes.
        controller: chooses the robot's actions.
    """

    config: EvalConfig
    environment: Environment
    model: Model | None
    own_tasks: tuple[Task | Recipe, ...]
    controller: Controller

    def decide_reward(self, tasks: Sequence[Task | Recipe]) -> "EvalContext":
        """The context with `reward="auto"` decided for these tasks.

        It becomes `true` where the dynamics predict all that the tasks' own rewards are computed from and no task is
        known by its labels alone, else `learned`.
        """
        if self.config.reward != "auto":
            return self
        single = tasks_of(tasks)
        hidden = self.config.dynamics == "learned" and any(task.privileged for task in single)
        labelled = self.model is not None and any(isinstance(task, LabelledTask) for task in single)
        config = replace(self.config, reward="learned" if hidden or labelled else "true")
        return replace(self, config=config, controller=config.make_controller(self.environment, self.model))

    def find_task(self, name: str) -> Task:
        """Find a task by name; see `task_selection.find_task`."""
        return find_task(self.environment, name, self.own_tasks)

    def find_task_or_recipe(self, name: str) -> Task | Recipe:
        """See `task_selection.find_task_or_recipe`."""
        return find_task_or_recipe(self.environment, name, self.own_tasks)

    def reward_note(self, asked: Task | Recipe | None = None) -> str:
        """Which reward is planned for, in a sentence."""
        if self.config.reward == "learned":
            return f"reward: learned from {self.controller.labels_of(asked):,} labels"
        return f"reward: {REWARDS[self.config.reward]}"

    def planner_note(self) -> str:
        """Who plans, and how far ahead, in a sentence."""
        steps = self.controller.settings["horizon"]
        seconds = steps * self.environment.spec.control_dt
        planned = self.controller.dynamics
        kernel = f"; products in {planned.imagination.kernel}" if isinstance(planned, LearnedDynamics) else ""
        return f"planner: {self.config.planner}, {steps} control steps ({seconds:.2g} s) ahead{kernel}"

    def described(self) -> dict[str, Any]:
        """Every setting that the results depend on, including the planner's defaults."""
        config = self.config
        of_planner = asdict(find_planner(config.planner).config_type()) | dict(self.controller.settings)
        own = {field.name: getattr(config, field.name) for field in fields(config)}
        for name in ELSEWHERE:
            del own[name]
        if config.dynamics == "oracle":
            for name in ("particles", "precision", "compile", "uncertainty_penalty"):
                del own[name]
        if config.latencies_ms:
            own |= {name: getattr(config, name) for name in CLOCK}
            own["latencies_ms"] = "measured" if config.measured else list(config.latencies_ms)
        own["labels"] = self.controller.labels
        own["model_digest"] = self.model.digest if self.model else None
        own["prepared"] = prepared_digest(Path(config.model)) if config.model and config.prepared else ""
        return own | {"planner_settings": of_planner}
