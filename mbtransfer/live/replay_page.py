"""The page of `mbtransfer live --replay`: recorded episodes, with ghosts of what the model had imagined."""

from threading import Event, Thread

import numpy as np
import viser
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.live.plan_drawing import PlanDrawing
from mbtransfer.live.replay import Comparison, Replay
from mbtransfer.live.scene import SceneDrawing
from mbtransfer.live.work_panel import put
from mbtransfer.mpc.outlook import Outlook
from tasks.simulator import Simulator

_FARTHEST = 30
"""Control steps that the model imagines at most."""


class ReplayPage:
    """A page for the episodes of a dataset.

    Args:
        server: of viser.
        replay: the episodes.
        scene: in which they took place.
        camera: name of the camera that the page begins with; empty for a view of everything.
        ahead: control steps that the model imagines at first.
    """

    def __init__(
        self, server: viser.ViserServer, replay: Replay, scene: Simulator, camera: str, ahead: int
    ) -> None:
        self.server, self._replay, self._scene = server, replay, scene
        self._names = replay.names
        self._drawing, self._lines = SceneDrawing(server, scene), PlanDrawing(server)
        self._drawing.look_from(camera)
        self._ended, self._changed = Event(), Event()
        gui = server.gui
        gui.main_panel.dock_right()
        gui.set_panel_label(f"mbtransfer · {scene.spec.name} · replay")
        gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(38, 104, 148))
        server.scene.set_up_direction("+z")
        server.scene.world_axes.visible = False
        self._choice = gui.add_dropdown("Episode", self._names)
        self._episode = replay.episode(0)
        self._step = gui.add_slider("Step", 0, len(self._episode), 1, initial_value=0)
        self._play = gui.add_checkbox("Play", True)
        self._ahead = gui.add_slider(
            "Imagined ahead", 1, _FARTHEST, 1, initial_value=min(ahead, _FARTHEST),
            hint="control steps from the observation that the model began with to the one that is shown",
        )  # fmt: skip
        self._words = gui.add_markdown("")
        gui.add_markdown(
            "grey: the hand's way as recorded · green: as imagined · blue: where things were imagined"
        )
        self._choice.on_update(lambda _: self._open())
        for control in (self._step, self._ahead):
            control.on_update(lambda _: self._changed.set())
        self._thread = Thread(target=self._run, name="replay", daemon=True)

    @property
    def shows(self) -> str:
        """What is shown, in words."""
        return f"{len(self._names)} episodes of {self._scene.spec.name}"

    def start(self) -> None:
        """Begin to draw."""
        self._changed.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the server."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        self.server.stop()

    def _open(self) -> None:
        self._episode = self._replay.episode(self._names.index(self._choice.value))
        put(self._step, 0)
        self._step.max = len(self._episode)
        self._changed.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            turned = self._changed.wait(self._scene.spec.control_dt if self._play.value else None)
            if not turned and self._play.value:
                step = int(self._step.value)
                put(self._step, 0 if step >= len(self._episode) else step + 1)
            self._changed.clear()
            self._draw()

    def _draw(self) -> None:
        step = min(int(self._step.value), len(self._episode))
        state: Float[ndarray, " S"] = np.array(self._episode.state[step])
        found = self._replay.compare(self._episode, step, int(self._ahead.value))
        self._drawing.draw(state)
        fixtures = self._scene.spec.fixtures
        imagined = {fixture.name: float(found.imagined[-1, fixture.position]) for fixture in fixtures}
        self._drawing.draw_ghosts(state, self._scene.placed(state[None], imagined)[0] if fixtures else None)
        self._lines.draw(self._paths(found))
        self._words.content = self._replay.in_words(found)

    def _paths(self, found: Comparison) -> Outlook | None:
        hand = list(self._scene.spec.hand)
        if len(hand) != 3 or len(found.recorded) < 2:
            return None
        nan = float("nan")
        return Outlook(
            found.imagined, found.imagined[:, hand], found.recorded[None][..., hand],
            np.zeros(len(found.imagined) - 1), nan, nan,
        )  # fmt: skip
