"""Decisions for robots: a thread that plans, a thread that loads, and the watchdog between them and the robots."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.model import Model
from mbtransfer.mpc.outlook import Forecaster
from mbtransfer.serve.goal import Goals, Pursuit
from mbtransfer.serve.metrics import Metrics
from mbtransfer.serve.robot import Decision, Kept, Robot, decide
from mbtransfer.serve.watchdog import Fault, Verdict, Watchdog
from tasks.recipe import Recipe
from tasks.task import Task
from world_models.errors import ModelError
from world_models.uncertainty.disagreement import DisagreementScale


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that is ready to plan.

    Attributes:
        context: model, environment and settings.
        model: the model.
        digest: what the model is.
        forecast: its outlook.
        goals: what may be asked of it.
    """

    context: EvalContext
    model: Model
    digest: str
    forecast: Forecaster
    goals: Goals


@dataclass(frozen=True, eq=False)
class Answer:
    """What a robot is told after an observation: see `Verdict`, `Decision` and `Kept`."""

    verdict: Verdict
    decision: Decision | None
    kept: Kept


_Outcome = Decision | Exception | None
"""What came of an observation in the planning thread: a decision, what went wrong, or nothing in time."""


@dataclass(frozen=True, eq=False)
class Pending:
    """An observation that is being planned from.

    Attributes:
        robot: whose it is.
        came: when it came, seconds of the clock `perf_counter`.
        found: what will come of it; or the verdict at once, where there is nothing to plan.
    """

    robot: Robot
    came: float
    found: Verdict | asyncio.Future[_Outcome]


class PlanService:
    """Plans for all robots, one decision after the other, and answers each in time, with a plan or without.

    Args:
        load: loads the model; called again to change it.
        given: finds the tasks and recipes that are ready from the start; robots begin with the first.
        watchdog: made for the environment of the model.
        metrics: what is counted.
        seed: of each robot's planner.
        threads: of torch, for planning.

    Raises:
        UserError, ModelError, TaskError, PlannerError: the model or a goal cannot be used.
    """

    def __init__(
        self,
        load: Callable[[], EvalContext],
        given: Callable[[EvalContext], Sequence[Task | Recipe]],
        watchdog: Callable[[EvalContext], Watchdog],
        metrics: Metrics,
        *,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self._load, self._given, self._seed, self.metrics = load, given, seed, metrics
        self.robots: dict[int, Robot] = {}
        self._count = 0
        context = load()
        self.watchdog = watchdog(context)
        self.loaded = self._made(context)
        begin = given(context)
        for asked in begin:
            Pursuit(context, asked, seed)  # fits the reward heads
        self._first: Task | Recipe | None = begin[0] if begin else None
        self._planner = ThreadPoolExecutor(1, "planning", torch.set_num_threads, (threads,))
        self._loader = ThreadPoolExecutor(1, "loading", torch.set_num_threads, (1,))
        self._changing = asyncio.Lock()
        self._free_since = 0.0  # when the planning thread was last done with a decision

    def close(self) -> None:
        """End both threads after what they do now."""
        self._planner.shutdown(cancel_futures=True)
        self._loader.shutdown(cancel_futures=True)

    @property
    def action_size(self) -> int:
        """Values of an action."""
        return len(self.watchdog.safe)

    def join(self) -> Robot:
        """A robot comes, with nothing to do yet."""
        self._count += 1
        robot = Robot(self._count, self._nothing())
        self.robots[robot.number] = robot
        self.metrics.robots.set(len(self.robots))
        return robot

    async def begin(self, robot: Robot) -> None:
        """Give a robot the first of the goals that were given at the start, if there are any."""
        if self._first is not None:
            await self._pursue(robot, self._first)

    def leave(self, robot: Robot) -> None:
        """A robot goes; nothing is kept of it."""
        self.robots.pop(robot.number, None)
        self.metrics.robots.set(len(self.robots))

    async def pursue(self, robot: Robot, message: dict[str, object]) -> str:
        """Give a robot a goal, and say its name. Until it is ready the robot goes on with the one before.

        Raises:
            UserError, TaskError, ModelError, PlannerError: there is no such goal; the robot goes on as before.
        """
        asked = self.loaded.goals.find(message)
        await self._pursue(robot, asked)
        return asked.name

    async def _pursue(self, robot: Robot, asked: Task | Recipe) -> None:
        loop = asyncio.get_running_loop()
        async with self._changing:
            context = self.loaded.context
            made = await loop.run_in_executor(self._loader, Pursuit, context, asked, self._seed)
            await loop.run_in_executor(self._planner, setattr, robot, "pursuit", made)
        robot.kept = self._nothing()

    def reset(self, robot: Robot) -> asyncio.Future[None]:
        """A new episode begins: forget the plan, and what was done. What is observed from now on is of the new one."""
        robot.kept, loop = self._nothing(), asyncio.get_running_loop()
        if robot.pursuit is not None:
            return loop.run_in_executor(self._planner, robot.pursuit.restart)
        nothing: asyncio.Future[None] = loop.create_future()
        nothing.set_result(None)
        return nothing

    def observe(self, robot: Robot, obs: Float[ndarray, " O"], came: float) -> Pending:
        """Begin to plan from an observation.

        Args:
            robot: whose observation it is.
            obs: the observation, finite or not.
            came: when it came, seconds of the clock `perf_counter`.
        """
        robot.kept.steps += 1
        if not bool(np.isfinite(obs).all()):
            column = self.loaded.context.environment.spec.observation[int(np.isfinite(obs).argmin())].name
            why = f"the observation of {column} is not finite"
            return Pending(robot, came, self.watchdog.refuse(Fault.BLIND, why))
        if robot.pursuit is None:
            return Pending(robot, came, self.watchdog.refuse(Fault.IDLE, "no goal"))
        return Pending(robot, came, self._begun(robot, obs, came))

    async def answer(self, pending: Pending) -> Answer:
        """What the robot shall do now; it comes within the watchdog's deadline, whatever the planner does."""
        found = pending.found
        if isinstance(found, Verdict):
            return Answer(found, None, pending.robot.kept)
        verdict, decision = self._judged(await found, pending.came)
        if verdict.fault is None and decision is not None and decision.proposal is not None:
            pending.robot.kept = Kept(decision.proposal.plan, pending.came)
        return Answer(verdict, decision, pending.robot.kept)

    def _begun(self, robot: Robot, obs: Float[ndarray, " O"], came: float) -> asyncio.Future[_Outcome]:
        """Begin a decision; the future has it, or None once it is too late.

        The planning thread wakes the server's once, and nothing else stands between: an executor's future would take
        three turns of the event loop.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[_Outcome] = loop.create_future()

        def settle(outcome: _Outcome) -> None:
            due.cancel()
            if not waiter.done():
                waiter.set_result(outcome)

        def work() -> None:
            outcome: _Outcome
            try:
                outcome = self._decide(robot, obs, came)
            except Exception as error:
                outcome = error
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(settle, outcome)

        due = loop.call_later(max(0.0, self.watchdog.deadline - (perf_counter() - came)), settle, None)
        self._planner.submit(work)
        return waiter

    def _judged(self, outcome: _Outcome, came: float) -> tuple[Verdict, Decision | None]:
        watchdog = self.watchdog
        if outcome is None:
            return watchdog.late(perf_counter() - came), None
        if isinstance(outcome, USER_ERRORS):
            return watchdog.refuse(Fault.FAILED, str(outcome)), None
        if isinstance(outcome, Exception):  # a mistake of ours must not move a robot, nor end the server
            return watchdog.refuse(Fault.FAILED, f"{type(outcome).__name__}: {outcome} (unexpected)"), None
        if outcome.proposal is None:
            return watchdog.refuse(Fault.IDLE, outcome.why), outcome
        return watchdog.judge(outcome.proposal, perf_counter() - came), outcome

    def count(self, answer: Answer, seconds: float) -> None:
        """Count an answer that was sent so many seconds after its observation came."""
        metrics, decision = self.metrics, answer.decision
        metrics.observations.inc()
        if answer.verdict.fault is not None:
            metrics.safe(answer.verdict.fault)
        if decision is not None:
            metrics.decision.observe(decision.seconds)
            metrics.wait.observe(decision.wait)
        metrics.answer.observe(seconds)

    def _decide(self, robot: Robot, obs: Float[ndarray, " O"], came: float) -> Decision | None:
        """In the planning thread; None if it is too late to begin."""
        begin = perf_counter()
        if robot.pursuit is None or begin - came > self.watchdog.deadline:
            return None
        # Only what other decisions held up is waiting; the way from thread to thread is not.
        wait = max(0.0, self._free_since - came)
        try:
            return decide(robot.pursuit, self.loaded.forecast, obs, self.loaded.model.device, begin, wait)
        finally:
            self._free_since = perf_counter()

    async def change_model(self) -> str:
        """Load the model again, beside the planning, and go on with it between two decisions.

        Returns:
            What the model is now.

        Raises:
            UserError, ModelError, TaskError: it cannot be used; the old one goes on.
        """
        loop = asyncio.get_running_loop()
        async with self._changing:
            loaded, pursuits = await loop.run_in_executor(self._loader, self._beside)
            await loop.run_in_executor(self._planner, self._swap, loaded, pursuits)
        self.metrics.changes.inc()
        return loaded.digest

    def _beside(self) -> tuple[Loaded, dict[int, Pursuit]]:
        """In the loading thread: the new model, and each robot's goal with it."""
        loaded, old = self._made(self._load()), self.loaded.context.environment.spec
        if loaded.context.environment.spec != old:
            raise UserError(f"the new model is of another environment than {old.name}; the old one goes on")
        for asked in self._given(loaded.context):
            Pursuit(loaded.context, asked, self._seed)
        present = [(robot.number, robot.pursuit) for robot in list(self.robots.values())]
        made = {n: Pursuit(loaded.context, one.asked, self._seed) for n, one in present if one is not None}
        return loaded, made

    def _swap(self, loaded: Loaded, pursuits: dict[int, Pursuit]) -> None:
        """In the planning thread, between two decisions."""
        for number, pursuit in pursuits.items():
            robot = self.robots.get(number)
            if robot is not None and robot.pursuit is not None:
                robot.pursuit.hand_over(pursuit)
                robot.pursuit = pursuit
        self.loaded = loaded

    def _made(self, context: EvalContext) -> Loaded:
        model = context.model
        if model is None:
            raise UserError("serving needs a model")
        try:
            scale = DisagreementScale.of(model.notes).to(model.device)
        except ModelError:
            if self.watchdog.most_doubt is not None:
                raise
            scale = None
        forecast = Forecaster(model.dynamics, context.environment.spec, scale)
        return Loaded(context, model, model.digest, forecast, Goals(context, self._given(context)))

    def _nothing(self) -> Kept:
        return Kept(np.zeros((0, self.action_size), np.float32))
