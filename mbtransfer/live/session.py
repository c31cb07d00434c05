"""The session behind the live page: a scene, what is to be done in it, a planner, and one control step at a time."""

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.evaluation.episodes import script_of
from mbtransfer.evaluation.monitors import MonitorResult
from mbtransfer.evaluation.rollout import Batch, StepInfo, as_tensor
from mbtransfer.evaluation.viewer import way_to_go
from mbtransfer.live.recording import Recording
from mbtransfer.live.why import Note, why_failed
from mbtransfer.model import Model
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.outlook import Forecaster, Outlook, WatchedPlanner
from mbtransfer.mpc.task_reward import Rewards
from tasks.recipe.recipe import Recipe
from tasks.simulator import Simulator
from tasks.spec import EnvSpec
from tasks.task import Task
from world_models.errors import ModelError
from world_models.uncertainty.disagreement import DisagreementScale

_REMEMBERED = 1000
"""Control steps that the word after a failure is found from."""


class Status(Enum):
    """How things stand."""

    IDLE = "nothing to do"
    RUNNING = "at work"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Search:
    """How plans are searched for.

    Attributes:
        planner: its name.
        candidates: plans per iteration; None for the planner's default.
        horizon: control steps that plans look ahead; None for what suits the environment.
    """

    planner: str
    candidates: int | None = None
    horizon: int | None = None


@dataclass(frozen=True, eq=False)
class Moment:
    """What one control step led to.

    Attributes:
        number: control steps since the work was given.
        state: the simulator's state after it.
        obs: the observation after it.
        action: what was asked of the actuators.
        goal: what the robot is after, in words.
        progress: how far it is from that, in words; empty where that cannot be told.
        reward: the true reward of the step.
        plan_ms: time of the decision, milliseconds.
        outlook: what the model had expected.
        fulfilled: whether what was pursued in this step truly holds now.
        status: how things stand; done though the session goes on, where it holds what is done.
        why: why it failed, in words.
        cause: what it most likely failed by, in words; empty where that cannot be told.
    """

    number: int
    state: Float[ndarray, " S"]
    obs: Float[ndarray, " O"]
    action: Float[ndarray, " A"]
    goal: str
    progress: str
    reward: float
    plan_ms: float
    outlook: Outlook
    fulfilled: bool
    status: Status
    why: str
    cause: str


class LiveSession:
    """One scene with one robot in it, which is given work while it runs. It knows of no page and no clock.

    Args:
        context: model, environment and settings.
        seed: of the start states and of the planner.

    Attributes:
        status: how things stand.
        asked: the task or recipe at work, or worked at last; None before the first.
        hold: whether the robot goes on with a task that is done, and so restores what somebody undoes.
        search: how plans are searched for.
    """

    def __init__(self, context: EvalContext, seed: int = 0) -> None:
        if context.model is None:
            raise UserError("a live session needs a model")
        self.model: Model = context.model
        self._context, self._rng, self._seeds = context, np.random.default_rng(seed), seed
        self.scene: Simulator = context.controller.scene
        self.spec: EnvSpec = context.environment.spec
        self.search = Search(context.config.planner, context.config.candidates, context.config.horizon)
        self._forecaster = Forecaster(context.model.dynamics, self.spec, _scale(context.model))
        self.hold = False
        self._start()

    def _start(self) -> None:
        self.state: Float[ndarray, " S"] = self.scene.sample_states(self._rng, 1)[0]
        self.asked: Task | Recipe | None = None
        self.status, self.number = Status.IDLE, 0
        self._batch: Batch | None = None
        self._notes: deque[Note] = deque(maxlen=_REMEMBERED)
        self._recording = Recording(self.state, self.obs(), self._seeds)

    def reset(self) -> None:
        """Start anew somewhere at random, with nothing to do."""
        self._start()

    def find(self, name: str) -> Task | Recipe:
        """A task by name, or such as `move(drawer, 0.2)`.

        Raises:
            TaskError, UserError: there is none.
        """
        return self._context.find_task_or_recipe(name)

    def give(self, asked: Task | Recipe) -> None:
        """Begin with a task or recipe from where everything is now; older work is dropped.

        Raises:
            UserError, TaskError, ModelError, PlannerError: it cannot be planned for.
        """
        controller = self._controller(asked)
        monitor = script_of(controller, asked)
        self._seeds += 1
        self._batch = Batch(controller, monitor, self.state[None], self._seeds)
        self._rewards: dict[tuple[Task, ...], Rewards] = {}
        self._watch()
        self.asked, self._monitor, self._ready = asked, monitor, controller
        self.status, self.number = Status.RUNNING, 0
        self._notes.clear()
        self._recording = Recording(self.state, self.obs(), self._seeds)

    def stop(self) -> None:
        """Drop the work."""
        self._batch, self.status = None, Status.IDLE

    def set_search(self, search: Search) -> None:
        """Search for plans in another way from the next control step on.

        Raises:
            PlannerError: no such planner, or a number that it does not take; the old search stays.
        """
        config = self._context.config
        changed = replace(
            config, planner=search.planner, candidates=search.candidates, horizon=search.horizon
        )
        context = replace(
            self._context,
            config=changed,
            controller=changed.make_controller(self._context.environment, self.model),
        )
        self._context, self.search = context, search
        if self._batch is not None and self.asked is not None:
            self._ready = self._controller(self.asked)
            self._batch.replace_agent(self._ready, self._seeds)
            self._watch()

    def push(self, fixture: str, to: float) -> None:
        """Move a fixture by hand, as somebody else in the room would.

        Raises:
            TaskError: no such fixture, or a place outside of its range.
        """
        self._context.environment.move(fixture, to)  # refuses what is out of range
        self.state = self.scene.placed(self.state[None], {fixture: to})[0]
        self._recording.cut(self.state, self.obs())
        if self._batch is not None:
            self._batch.displace(self.state[None])

    def expected(self, outlook: Outlook) -> Float[ndarray, " S"] | None:
        """The state in which every fixture is where the model expects it at the plan's end; None without fixtures."""
        if not self.spec.fixtures:
            return None
        last = outlook.obs[-1]
        place = {fixture.name: float(last[fixture.position]) for fixture in self.spec.fixtures}
        return self.scene.placed(self.state[None], place)[0]

    @property
    def running(self) -> bool:
        """Whether there is something to do."""
        return self._batch is not None

    @property
    def limit(self) -> int | None:
        """Control steps that the work may take; None where it has no end."""
        return None if self._batch is None or self._monitor.continuing else self._monitor.limit

    def obs(self) -> Float[ndarray, " O"]:
        """The observation now."""
        seen: ndarray = self.scene.observe(self.state[None])[0]
        return seen

    def step(self) -> Moment | None:
        """Plan and act for one control step; None if there is nothing to do.

        Raises:
            PlannerError: no candidate plan had a finite return; the work is dropped.
        """
        batch = self._batch
        if batch is None:
            return None
        self.number += 1
        seen, pursued = (
            as_tensor(self.scene.observe(batch.state), self._ready.device),
            self._monitor.tasks_now(0),
        )
        try:
            info, verdict = batch.step(self.number)
        except BaseException:
            self.stop()
            raise
        plan, sound = batch.agent.plan, bool(np.isfinite(batch.state).all())
        assert plan is not None
        outlook = self._forecaster(seen, plan, self._watched.candidates, self._of(pursued))
        status, why = self._judged(verdict, sound)
        if sound:
            self.state = batch.state[0].copy()
        fulfilled = sound and self._fulfilled(batch, pursued)
        progress = (
            "; ".join(filter(None, (way_to_go(task, info.obs[0]) for task in pursued))) if sound else ""
        )
        self._note(info, outlook, fulfilled, sound)
        if status is Status.RUNNING:
            batch.go_on(np.ones(1, bool), verdict.changed)
        elif status is Status.DONE and self.hold:
            self._monitor.begin(batch.shown)
            self.number = 0
        else:
            self._batch, self.status = None, status
        return Moment(
            info.step, self.state, self.obs(), info.action[0].cpu().numpy(), info.after[0], progress,
            float(info.reward[0]), info.plan_ms, outlook, fulfilled, status, why,
            str(why_failed(self._notes)) if status is Status.FAILED and sound else "",
        )  # fmt: skip

    def _note(self, info: StepInfo, outlook: Outlook, fulfilled: bool, sound: bool) -> None:
        """Remember a control step for the data, the film and the word after a failure."""
        self._notes.append(Note(outlook.now, outlook.chance, fulfilled))
        if sound:
            self._recording.note(info.action[0].cpu().numpy(), self.state, self.obs(), info.after[0])

    def recorded(self) -> Recording:
        """The episode up to now; it does not change any more."""
        return self._recording.copy()

    def _judged(self, verdict: MonitorResult, sound: bool) -> tuple[Status, str]:
        """How things stand after a control step, and why it failed if it did."""
        if not sound:
            return Status.FAILED, "the episode is over" if self.scene.live else "the simulation diverged"
        if verdict.success[0]:
            return Status.DONE, ""
        late = self.limit is not None and self.number >= self.limit
        if not (verdict.ended[0] or late):
            return Status.RUNNING, ""
        return Status.FAILED, self._monitor.why(0) or f"not done after {self.number} control steps"

    def _fulfilled(self, batch: Batch, pursued: tuple[Task, ...]) -> bool:
        return bool(pursued) and all(bool(task.success(batch.shown)[0]) for task in pursued)

    def _controller(self, asked: Task | Recipe) -> Controller:
        return self._context.decide_reward([asked]).controller.ready_for(asked)

    def _of(self, tasks: tuple[Task, ...]) -> Rewards | None:
        """The rewards that are planned for; None where nothing is pursued."""
        if not tasks:
            return None
        if tasks not in self._rewards:
            self._rewards[tasks] = self._ready.rewards(tasks)
        return self._rewards[tasks]

    def _watch(self) -> None:
        assert self._batch is not None
        self._watched = WatchedPlanner(self._batch.agent.planner)
        self._batch.agent.planner = self._watched


def _scale(model: Model) -> DisagreementScale | None:
    """The model's scale of disagreement, where it has one."""
    try:
        return DisagreementScale.of(model.notes).to(model.device)
    except ModelError:
        return None
