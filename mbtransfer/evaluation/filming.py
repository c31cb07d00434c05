"""Films of finished episodes, with what the robot was after in every picture."""

from pathlib import Path

from mbtransfer.evaluation.play import Played
from mbtransfer.film import film
from tasks.render import Renderer
from tasks.scene import Scene


def film_episode(
    scene: Scene,
    played: Played,
    *,
    video: Path | None = None,
    strip: Path | None = None,
    camera: str = "",
    renderer: Renderer | None = None,
) -> None:
    """Write a finished episode as a video, as a strip of stills, or both.

    Args:
        scene: where it happened.
        played: the episode.
        video: MP4 file to write.
        strip: PNG file to write.
        camera: whose eyes; the scene's first camera by default.
        renderer: used instead of a new one, and left open.

    Raises:
        RenderUnavailable: no picture can be made here.
        UserError: a file cannot be written.
    """
    own = renderer or Renderer(scene, camera=camera)
    try:
        film(own, played.states, scene.spec.control_dt, video=video, strip=strip, captions=captions(played))
    finally:
        if renderer is None:
            own.close()


def captions(played: Played) -> list[str]:
    """What to write under the picture of each state: what the robot is after, and how it ended."""
    name, result = played.result.task, played.result
    end = f"{name}: done" if result.success else f"{name}: failed, {played.why}"
    during = [f"{name}: {after}" if after != name else name for after in played.after]
    return [*during, end]
