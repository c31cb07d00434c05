"""The live page: what the browser shows of a session, and what people ask of it there."""

import contextlib
import io
import socket
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import viser
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.live.charts import Charts
from mbtransfer.live.checker import Checker
from mbtransfer.live.keep_panel import KeepPanel
from mbtransfer.live.loop import Command, LiveLoop
from mbtransfer.live.move_panel import MovePanel, ReachHandle
from mbtransfer.live.plan_drawing import PlanDrawing
from mbtransfer.live.scene import SceneDrawing
from mbtransfer.live.search_panel import SearchPanel
from mbtransfer.live.session import LiveSession, Moment, Status
from mbtransfer.live.work_panel import RecipePanel, TaskPanel
from tasks.recipe.recipe import Recipe
from tasks.task import Task

HOST = "127.0.0.1"

PICTURES = 20
"""Pictures per second that are drawn between control steps."""

TEXTS, PLOTS = 5, 2
"""How often per second words and plots change."""

SPEEDS = {"¼ ×": 0.25, "½ ×": 0.5, "1 ×": 1.0, "2 ×": 2.0, "4 ×": 4.0, "fastest": float("inf")}

_NOTHING = "○ nothing to do yet: choose a task below"

_MARK = {Status.IDLE: "○", Status.RUNNING: "▶", Status.DONE: "✔", Status.FAILED: "✘"}


@dataclass(frozen=True, eq=False)
class _Shown:
    """What is drawn: the way from one state to another, since when, and in how many seconds."""

    before: Float[ndarray, " S"]
    after: Float[ndarray, " S"]
    since: float
    seconds: float


class LivePage:
    """A page for one session; everybody who opens it sees and steers the same robot.

    Args:
        server: of viser.
        context: model, environment and settings.
        session: what is shown.
        out: folder for kept episodes and films.
    """

    def __init__(
        self, server: viser.ViserServer, context: EvalContext, session: LiveSession, out: Path
    ) -> None:
        self.server, self.context, self._session = server, context, session
        self.loop = LiveLoop(session, self._watch, self.complain, context.config.threads)
        self._spec, self._expected = session.spec, session.expected
        self._out = out
        self._has_scene, self._has_hand = not session.scene.live, len(session.spec.hand) == 3
        self._seen: Float[ndarray, " O"] = session.obs()
        self._moment: Moment | None = None
        self._asked: Task | Recipe | None = None
        self._limit: int | None = None
        self._running = False
        self._shown = _Shown(session.state, session.state, 0.0, 0.0)
        self._fresh, self._text = Event(), ""
        self._drawn: object = None
        self._pictured: object = None
        self._ended = Event()
        self._decorate()
        if self._has_scene:
            self._drawing = SceneDrawing(server, session.scene)
            self._plan = PlanDrawing(server)
            self._drawing.look_from((*context.environment.cameras, "")[0])
        self._checker = Checker(session.model, self._tell_check)
        self._build()
        self._thread = Thread(target=self._draw_on, name="drawing", daemon=True)

    @property
    def shows(self) -> str:
        """What is shown, in words."""
        return self._spec.name

    def start(self) -> None:
        """Begin to plan and to draw."""
        self.loop.start()
        self._checker.start()
        self._thread.start()

    def stop(self) -> None:
        """End both threads and the server."""
        self._ended.set()
        self._thread.join()
        self.loop.stop()
        self._checker.stop()
        self.server.stop()

    def act(self, command: Command, *, anew: bool = False) -> None:
        """Let the session do something, and show what came of it; `anew` forgets the last control step."""

        def then_show(session: LiveSession) -> None:
            command(session)
            self._asked, self._limit, self._running = session.asked, session.limit, session.running
            self._shown = _Shown(session.state, session.state, perf_counter(), 0.0)
            self._seen = session.obs()
            if anew:
                self._moment = None
            self._fresh.set()

        self.complain("")
        self.loop.do(then_show)

    def give(self, asked: Task | Recipe) -> None:
        """Give the robot work, as soon as `check` has said what it thinks of it."""
        self._checker.ask(asked, lambda: self.act(lambda session: session.give(asked), anew=True))

    def _look_at(self, task: Task) -> None:
        """Find out what `check` says of a task that somebody thinks of, unless the robot is at work."""
        if not self._running:
            self._checker.ask(task)

    def _tell_check(self, line: str) -> None:
        self._check.content, self._check.visible = line, True

    def complain(self, line: str) -> None:
        """Show what went wrong; an empty line takes it away."""
        self._notice.content = f"⚠ {line}" if line else ""
        self._notice.visible = bool(line)

    def _watch(self, moment: Moment) -> None:
        """Take up what a control step led to; the loop calls this."""
        seconds = self._spec.control_dt / self.loop.speed
        self._shown = _Shown(self._shown.after, moment.state, perf_counter(), seconds)
        self._moment, self._seen = moment, moment.obs
        self._running = self._session.running  # the loop's own thread calls this
        self._charts.add(moment)
        self._fresh.set()

    def _decorate(self) -> None:
        gui = self.server.gui
        gui.configure_theme(
            show_logo=False, show_share_button=False, brand_color=(38, 104, 148), control_width="medium"
        )
        gui.main_panel.dock_right()
        gui.set_panel_label(f"mbtransfer · {self._spec.name}")
        self.server.scene.set_up_direction("+z")
        self.server.scene.world_axes.visible = False

    def _build(self) -> None:
        gui = self.server.gui
        self._headline = gui.add_markdown(_NOTHING)
        self._notice = gui.add_markdown("", visible=False)
        self._check = gui.add_markdown("", visible=False)
        buttons = gui.add_button_group("Time", ("Pause", "Step", "Stop", "Reset"))
        buttons.on_click(lambda event: self._time(event.target.value))
        self._buttons = buttons
        speed = gui.add_dropdown("Speed", tuple(SPEEDS), initial_value="1 ×")
        speed.on_update(lambda _: setattr(self.loop, "speed", SPEEDS[speed.value]))
        tabs = gui.add_tab_group()
        with tabs.add_tab("Task"):
            TaskPanel(gui, self.context, self.give, self._look_at)
        with tabs.add_tab("Recipe"):
            RecipePanel(gui, self.context, self.give)
        if self._spec.fixtures or self._has_hand:
            with tabs.add_tab("Move"):
                self._add_moves()
        with tabs.add_tab("Planner"):
            SearchPanel(gui, self.context, self.act)
            if self._has_scene:
                self._ghosts = gui.add_checkbox(
                    "Ghosts", True, hint="where the model expects things at the end of the plan"
                )
                self._fan = gui.add_checkbox(
                    "Fan of plans", True, hint="candidates of the last iteration, the better the darker"
                )

        with tabs.add_tab("Episode"):
            self._charts = Charts(gui, self._spec.control_dt)
            KeepPanel(gui, self.context.environment, self.loop.do, self._out, films=self._has_scene)

    def _add_moves(self) -> None:
        gui, environment = self.server.gui, self.context.environment
        if self._spec.fixtures:
            MovePanel(gui, environment, self.give, self.act)
        if self._has_hand and self._has_scene:
            ReachHandle(self.server, environment, lambda: self._seen[list(self._spec.hand)], self.give)

    def _time(self, what: str) -> None:
        if what in ("Pause", "Go on"):
            self.loop.pause(not self.loop.paused)
            self._buttons.options = ("Go on" if self.loop.paused else "Pause", "Step", "Stop", "Reset")
        elif what == "Step":
            self.loop.step_once()
        elif what == "Stop":
            self.act(LiveSession.stop, anew=True)
        else:
            self.act(LiveSession.reset, anew=True)

    def _draw_on(self) -> None:
        """Draw until the end: pictures often, words less often, plots seldom."""
        words_due = plots_due = picture_due = 0.0
        while not self._ended.wait(max(0.0, picture_due - perf_counter())):
            now = perf_counter()
            picture_due = max(picture_due, now - 1 / PICTURES) + 1 / PICTURES  # drawing is part of the time
            if self._has_scene:
                self._picture(now)
            if now >= words_due and self._fresh.is_set():
                self._fresh.clear()
                words_due = now + 1 / TEXTS
                self._words()
            if now >= plots_due:
                plots_due = now + 1 / PLOTS
                self._charts.draw()

    def _picture(self, now: float) -> None:
        shown, moment = self._shown, self._moment
        share = 1.0 if shown.seconds <= 0 else min(1.0, (now - shown.since) / shown.seconds)
        if (shown, share) != self._pictured:
            self._drawing.draw(self._drawing.between(shown.before, shown.after, share))
            self._pictured = shown, share
        drawn = moment, self._running, self._fan.value, self._ghosts.value
        if drawn == self._drawn:
            return
        self._drawn = drawn
        outlook = None if moment is None or not self._running else moment.outlook
        self._plan.draw(outlook, fan=self._fan.value)
        later = None if outlook is None or not self._ghosts.value else self._expected(outlook)
        self._drawing.draw_ghosts(shown.after, later)

    def _words(self) -> None:
        text = headline(self._asked, self._moment, self._limit, self._spec.control_dt, running=self._running)
        if text != self._text:
            self._text = self._headline.content = text


def headline(
    asked: Task | Recipe | None, moment: Moment | None, limit: int | None, control_dt: float, *, running: bool
) -> str:
    """How things stand, in two lines of Markdown."""
    if asked is None:
        return _NOTHING
    if moment is None:
        return f"▶ **{asked.name}** · begins\n\n-" if running else f"○ **{asked.name}** · stopped\n\n-"
    status = moment.status
    time = f"{moment.number} of {limit}" if limit and status is Status.RUNNING else f"{moment.number}"
    line = f"{_MARK[status]} **{asked.name}** · {status.value} · step {time} ({moment.number * control_dt:.1f} s)"
    detail = moment.why or (moment.goal if moment.goal != asked.name else "")
    detail = f"{detail} · {moment.progress}" if detail and moment.progress else detail or moment.progress
    cause = f"\n\n{moment.cause}; `mbtransfer diagnose` measures it" if moment.cause else ""
    return f"{line}\n\n{detail}{cause}"


def open_server(port: int) -> viser.ViserServer:
    """A server that answers this machine alone.

    Raises:
        UserError: the port is taken.
    """
    with contextlib.closing(socket.socket()) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"port {port} cannot be had ({reason}); give another with --port") from error
    with contextlib.redirect_stdout(io.StringIO()):  # viser greets with a box of its own
        return viser.ViserServer(host=HOST, port=port, verbose=False)
