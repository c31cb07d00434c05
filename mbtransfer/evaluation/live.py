"""One episode as it happens: a table that is redrawn at every control step, or a line per finished step."""

from types import TracebackType

import torch
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mbtransfer.evaluation.batch import Moment
from mbtransfer.evaluation.recipe_script import RecipeScript
from mbtransfer.evaluation.second_try import BACK
from mbtransfer.evaluation.starts import moves_of
from mbtransfer.objective import LearnedDynamics
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
"""How the state of a recipe's step is drawn."""


class LiveView:
    """Draws the moments of one episode; where the output is no terminal, it tells of changes only.

    Args:
        console: where to draw.
        spec: how much time a control step is.
        dynamics: what plans are followed by; a learned one knows how far its members disagree.
    """

    def __init__(self, console: Console, spec: EnvSpec, dynamics: object) -> None:
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

    def __call__(self, moment: Moment) -> None:
        """Show a moment."""
        if self._console.is_terminal:
            self._live.update(self._drawn(moment))
        elif moment.after[0] != self._after:
            self._after = moment.after[0]
            self._console.print(f"step {moment.step:3d}  {self._after}", highlight=False, soft_wrap=True)

    def _drawn(self, moment: Moment) -> Table:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column()
        seconds = moment.step * self._spec.control_dt
        table.add_row("step", f"{moment.step} of {moment.script.limit}, {seconds:.1f} s")
        if isinstance(moment.script, RecipeScript):
            table.add_row("recipe", _steps(moment.script))
        if moment.after[0] == BACK:
            table.add_row("now", BACK)
        for task in moment.script.tasks_now(0):
            table.add_row("task", Text(f"{task.name}  {way_to_go(task, moment.obs[0])}"))
        table.add_row("reward", f"{float(moment.reward[0]):+.2f}")
        disagreement = self.disagreement(moment)
        if disagreement is not None:
            table.add_row("disagreement", f"{disagreement:.2f} of a control step's change")
        table.add_row("decision", f"{moment.plan_ms:.1f} ms")
        return table

    def disagreement(self, moment: Moment) -> float | None:
        """How far the ensemble's members disagree about the plan, in scales of change; None without one."""
        if self._imagination is None or moment.agent.plan is None:
            return None
        if self._generator is None:  # its own, so that watching changes nothing
            self._generator = torch.Generator(moment.obs.device).manual_seed(0)
        plans = moment.agent.plan.actions[:1]
        imagined = self._imagination(moment.obs[:1], plans, self._generator)
        return float(imagined.disagreement().mean())


def way_to_go(task: Task, obs: torch.Tensor) -> str:
    """Where a task's fixtures are and should be, or how far the hand is; nothing for other tasks."""
    parts = [
        f"{part.fixture.name} {float(obs[part.fixture.position]):.2f} → {part.to:.2f} {part.fixture.unit}, "
        f"hand {float(obs[list(part.fixture.handle)].norm()):.2f} m away"
        for part in moves_of(task)
    ]
    if isinstance(task, Reach):
        parts = [f"hand {float((obs[list(task.columns)] - obs.new_tensor(task.point)).norm()):.2f} m away"]
    return "; ".join(parts)


def _steps(script: RecipeScript) -> Text:
    """Every step of the recipe with its state, as the robot believes it."""
    belief, line = script.belief(0), Text()
    for i, step in enumerate(belief.recipe.steps):
        mark, style = ("▶", "bold cyan") if i in belief.active else MARKS[belief.states[i]]
        line.append(f"{mark} {step.label}  ", style=style)
    return line
