"""Decisions for robots: a thread that plans, a thread that loads, and the watchdog between them and the robots."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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

    async def reset(self, robot: Robot) -> None:
        """A new episode begins: forget the plan, and what was done."""
        if robot.pursuit is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._planner, robot.pursuit.restart)
        robot.kept = self._nothing()

    async def answer(self, robot: Robot, obs: Float[ndarray, " O"], came: float) -> Answer:
        """What a robot shall do now; it comes within the watchdog's deadline, whatever the planner does.

        Args:
            robot: whose observation it is.
            obs: the observation, finite or not.
            came: when it came, seconds of the clock `perf_counter`.
        """
        robot.kept.steps += 1
        verdict, decision = await self._judged(robot, obs, came)
        if verdict.fault is None and decision is not None and decision.proposal is not None:
            robot.kept = Kept(decision.proposal.plan, came)
        self.metrics.observations.inc()
        if verdict.fault is not None:
            self.metrics.safe(verdict.fault)
        self.metrics.answer.observe(perf_counter() - came)
        return Answer(verdict, decision, robot.kept)

    async def _judged(
        self, robot: Robot, obs: Float[ndarray, " O"], came: float
    ) -> tuple[Verdict, Decision | None]:
        watchdog = self.watchdog
        if not bool(np.isfinite(obs).all()):
            column = self.loaded.context.environment.spec.observation[int(np.isfinite(obs).argmin())].name
            return watchdog.refuse(Fault.BLIND, f"the observation of {column} is not finite"), None
        if robot.pursuit is None:
            return watchdog.refuse(Fault.IDLE, "no goal"), None
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._planner, self._decide, robot, obs, came)
        done, _ = await asyncio.wait([work], timeout=max(0.0, watchdog.deadline - (perf_counter() - came)))
        if not done:
            work.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks any more
            return watchdog.late(perf_counter() - came), None
        try:
            decision = work.result()
        except USER_ERRORS as error:
            return watchdog.refuse(Fault.FAILED, str(error)), None
        except Exception as error:  # a mistake of ours must not move a robot, nor end the server
            return watchdog.refuse(Fault.FAILED, f"{type(error).__name__}: {error} (unexpected)"), None
        if decision is None:
            return watchdog.late(perf_counter() - came), None
        self.metrics.decision.observe(decision.seconds)
        self.metrics.wait.observe(decision.wait)
        if decision.proposal is None:
            return watchdog.refuse(Fault.IDLE, decision.why), decision
        return watchdog.judge(decision.proposal, perf_counter() - came), decision

    def _decide(self, robot: Robot, obs: Float[ndarray, " O"], came: float) -> Decision | None:
        """In the planning thread; None if it is too late to begin."""
        if robot.pursuit is None or perf_counter() - came > self.watchdog.deadline:
            return None
        return decide(robot.pursuit, self.loaded.forecast, obs, self.loaded.model.device, came)

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
