"""Keep the episode: as data for the next model, or as a film."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Thread

import viser

from mbtransfer.errors import USER_ERRORS
from mbtransfer.live.loop import Command
from mbtransfer.live.recording import Recording
from mbtransfer.live.session import LiveSession
from tasks.environment import Environment


class KeepPanel:
    """Two buttons, and a line that says what came of them.

    Args:
        gui: of viser, in the place where the panel goes.
        environment: what the data are of; films are drawn in a scene of it.
        ask: lets the session do something without interrupting what it shows.
        out: folder for `data` and `films`.
        films: whether there are pictures of this environment.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        environment: Environment,
        ask: Callable[[Command], None],
        out: Path,
        *,
        films: bool,
    ) -> None:
        self._environment, self._ask, self._out = environment, ask, out
        keep = gui.add_button("Keep the episode as data", icon=viser.Icon.DATABASE_PLUS)
        keep.on_click(lambda _: self._with_recording(self._keep))
        if films:
            shoot = gui.add_button("Film the episode", icon=viser.Icon.MOVIE)
            shoot.on_click(lambda _: self._with_recording(self._shoot))
        self._note = gui.add_markdown(f"goes to `{out}`")

    def _with_recording(self, work: Callable[[Recording], str]) -> None:
        """Do something with what is recorded up to now, beside the planning."""

        def begin(session: LiveSession) -> None:
            recording = session.recorded()
            Thread(target=self._tell, args=(work, recording), daemon=True).start()

        self._note.content = "..."
        self._ask(begin)

    def _tell(self, work: Callable[[Recording], str], recording: Recording) -> None:
        try:
            self._note.content = f"✔ {work(recording)}"
        except (*USER_ERRORS, OSError) as error:
            self._note.content = f"⚠ {error}"

    def _keep(self, recording: Recording) -> str:
        return recording.keep(self._environment, self._out / "data")

    def _shoot(self, recording: Recording) -> str:
        name = f"{datetime.now():%Y-%m-%d-%H%M%S}.mp4"
        return recording.film(self._environment.make_scene(()), self._out / "films" / name)
