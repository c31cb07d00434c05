"""Live view of one episode in the terminal."""

from types import TracebackType

import torch
from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mbtransfer.evaluation.monitors import RecipeScript
from mbtransfer.evaluation.recovery import BACK
from mbtransfer.evaluation.rollout import StepInfo
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.runtime.terminal import Terminal, styled
from tasks.combinators import moves_of
from tasks.recipe.progress import StepState
from tasks.spec import EnvSpec
from tasks.task import Reach, Task

MARKS = {
    StepState.OPEN: ("○", "dim"),
    StepState.FINISHED: ("✔", "green"),
    StepState.SKIPPED: ("–", "dim"),
    StepState.TIMED_OUT: ("✘", "red"),
    StepState.UNDONE: ("✘", "red"),
}
"""Symbol and style of each state of a recipe's step."""


class LiveView:
    """Live view of one episode; if the output is not a terminal, only changes of the goal are printed.

    Args:
        console: where to draw.
        spec: gives the duration of a control step.
        dynamics: the planner's dynamics; for a learned model the disagreement of the members is shown.
    """

    def __init__(self, console: Terminal, spec: EnvSpec, dynamics: object) -> None:
        self._console, self._spec = console, spec
        self._imagination = dynamics.imagination if isinstance(dynamics, LearnedDynamics) else None
        self._generator: torch.Generator | None = None
        self._live = Live(console=console, refresh_per_second=10, transient=True)
        self._after = ""

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, moment: StepInfo) -> None:
        """Show one control step."""
        if self._console.is_terminal:
            self._live.update(self._drawn(moment))
        elif moment.after[0] != self._after:
            self._after = moment.after[0]
            self._console.say(f"step {moment.step:3d}  {self._after}")

    def _drawn(self, moment: StepInfo) -> Table:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column()
        seconds = moment.step * self._spec.control_dt
        table.add_row("step", f"{moment.step} of {moment.monitor.limit}, {seconds:.1f} s")
        if isinstance(moment.monitor, RecipeScript):
            table.add_row("recipe", _steps(moment.monitor))
        if moment.after[0] == BACK:
            table.add_row("now", BACK)
        for task in moment.monitor.tasks_now(0):
            table.add_row("task", f"{task.name}  {way_to_go(task, moment.obs[0])}")
        table.add_row("reward", f"{float(moment.reward[0]):+.2f}")
        disagreement = self.disagreement(moment)
        if disagreement is not None:
            table.add_row("disagreement", f"{disagreement:.2f} of a control step's change")
        table.add_row("decision", f"{moment.plan_ms:.1f} ms")
        return table

    def disagreement(self, moment: StepInfo) -> float | None:
        """Mean disagreement of the members on the plan, in units of the scale of change; None without an ensemble."""
        if self._imagination is None or moment.agent.plan is None:
            return None
        if self._generator is None:  # a separate one, so that watching does not change the episode
            self._generator = torch.Generator(moment.obs.device).manual_seed(0)
        plans = moment.agent.plan.actions[:1]
        imagined = self._imagination(moment.obs[:1], plans, self._generator)
        return float(imagined.disagreement().mean())


def way_to_go(task: Task, obs: torch.Tensor) -> str:
    """Positions and targets of a task's fixtures, or the distance of the hand; empty for other tasks."""
    parts = [
        f"{part.fixture.name} {float(obs[part.fixture.position]):.2f} → {part.to:.2f} {part.fixture.unit}, "
        f"hand {float(obs[list(part.fixture.handle)].norm()):.2f} m away"
        for part in moves_of(task)
    ]
    if isinstance(task, Reach):
        parts = [f"hand {float((obs[list(task.columns)] - obs.new_tensor(task.point)).norm()):.2f} m away"]
    return "; ".join(parts)


def _steps(monitor: RecipeScript) -> Text:
    """Every step of the recipe with its state, according to the robot's belief."""
    belief, parts = monitor.belief(0), list[tuple[str, str]]()
    for i, step in enumerate(belief.recipe.steps):
        mark, style = ("▶", "bold cyan") if i in belief.active else MARKS[belief.states[i]]
        parts.append((f"{mark} {step.label}  ", style))
    return styled(*parts)
