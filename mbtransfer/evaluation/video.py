"""Videos and film strips of episodes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
from einops import reduce
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from mbtransfer.errors import UserError
from mbtransfer.evaluation.rollout import EpisodeRecord
from mbtransfer.runtime.files import replacing
from tasks.render import Renderer
from tasks.simulator import Simulator

STILLS = 6
"""Number of pictures in a film strip."""

_GAP = 4
_BAR = 24
_SETTINGS = ["-crf", "27", "-preset", "veryfast", "-threads", "1", "-movflags", "+faststart"]


@runtime_checkable
class Camera(Protocol):
    """Renders pictures of states, as a `tasks.render.Renderer` does."""

    def frame(self, state: Float[ndarray, " S"]) -> UInt8[ndarray, "H W 3"]:
        """The picture of a state."""
        ...


def film(
    camera: Camera,
    states: Float[ndarray, "M S"],
    control_dt: float,
    *,
    video: Path | None = None,
    strip: Path | None = None,
    captions: Sequence[str] = (),
    every: int = 1,
) -> None:
    """Render an episode once and write it as a video, a strip or both.

    Args:
        camera: renders the pictures, as a `tasks.render.Renderer` does.
        states: simulator states, the start first.
        control_dt: seconds between two states; the video plays in real time.
        video: MP4 file to write.
        strip: PNG file to write.
        captions: a caption for each state; the last one is repeated for any further states.
        every: show one state out of this many; the last one is always shown.

    Raises:
        UserError: there is no state, or a file cannot be written.
    """
    if not len(states):
        raise UserError("a film needs at least one state")
    moments = sorted({*range(0, len(states), every), len(states) - 1})
    chosen = [moments[i] for i in stills(len(moments))]
    kept: list[ndarray] = []

    def pictures(wanted: list[int]) -> Iterator[UInt8[ndarray, "H W 3"]]:
        for i in wanted:
            frame = camera.frame(states[i])
            if captions:
                frame = captioned(frame, captions[min(i, len(captions) - 1)])
            if video is not None and i in chosen:
                kept.append(frame)
            yield frame

    if video is not None:
        write_video(video, pictures(moments), 1 / (control_dt * every))
    if strip is not None:
        write_strip(strip, kept or list(pictures(chosen)))


def stills(n: int, count: int = STILLS) -> list[int]:
    """Indices of at most `count` of `n` pictures: the first, the last, and evenly spaced ones between them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, count))})


def write_video(path: Path, frames: Iterable[UInt8[ndarray, "H W 3"]], fps: float) -> None:
    """Write an MP4 file (H.264, 4:2:0, so that every browser plays it), whole or not at all.

    Args:
        path: file to write; a picture of odd size loses its last row or column.
        frames: pictures of one size, consumed one by one.
        fps: pictures per second.

    Raises:
        UserError: there is no picture, ffmpeg is missing or fails, or the file cannot be written.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise UserError(f"cannot write {path}: a video needs at least one picture")
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
    with replacing(path) as temporary:
        writer = _ffmpeg(path, temporary, (width, height), fps)
        try:
            for frame in chain([first], source):
                _send(writer, path, np.ascontiguousarray(frame[:height, :width]))
        finally:
            writer.close()
        if not _finished(temporary):
            raise UserError(_stopped(path))


def _ffmpeg(path: Path, temporary: Path, size: tuple[int, int], fps: float) -> Any:
    try:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            size,
            fps=fps,
            codec="libx264",
            pix_fmt_out="yuv420p",
            quality=None,
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=_SETTINGS,
        )
        writer.send(None)
    except (RuntimeError, FileNotFoundError) as error:
        raise UserError(f"cannot write {path}: no ffmpeg here; `pip install imageio-ffmpeg`") from error
    return writer


def _send(writer: Any, path: Path, frame: UInt8[ndarray, "H W 3"]) -> None:
    try:
        writer.send(frame)
    except OSError as error:  # its message is ffmpeg's whole command line
        raise UserError(_stopped(path)) from error


def _finished(video: Path) -> bool:
    """Whether ffmpeg finished: its last step moves the index to the front."""
    if not video.is_file():
        return False
    with video.open("rb") as file:
        return b"moov" in file.read(64)


def _stopped(path: Path) -> str:
    return f"cannot write {path}: ffmpeg stopped early; is the disk full? An older file is unharmed"


def write_strip(path: Path, frames: Sequence[UInt8[ndarray, "H W 3"]], count: int = STILLS) -> None:
    """Write a row of at most `count` stills at half size as a PNG file, whole or not at all.

    Raises:
        UserError: there is no picture, or the file cannot be written.
    """
    if not frames:
        raise UserError(f"cannot write {path}: a film strip needs at least one picture")
    small = [_halved(frames[i]) for i in stills(len(frames), count)]
    gap = np.full((small[0].shape[0], _GAP, 3), 255, np.uint8)
    row = np.concatenate([part for still in small for part in (gap, still)][1:], axis=1)
    with replacing(path) as temporary:
        iio.imwrite(temporary, row, extension=".png", optimize=True)


def captioned(frame: UInt8[ndarray, "H W 3"], text: str) -> UInt8[ndarray, "H W 3"]:
    """The picture with a line of text on a dark bar at the bottom."""
    image = Image.fromarray(frame)
    height, width = frame.shape[:2]
    bar = Image.new("RGB", (width, _BAR), (24, 26, 30))
    image.paste(Image.blend(image.crop((0, height - _BAR, width, height)), bar, 0.75), (0, height - _BAR))
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(image).text((8, height - _BAR + 2), text, fill=(245, 245, 245), font=font)
    return np.asarray(image)


def _halved(frame: UInt8[ndarray, "H W 3"]) -> UInt8[ndarray, "h w 3"]:
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    if not height or not width:
        return frame
    whole = frame[: 2 * height, : 2 * width].astype(np.float64)
    return reduce(whole, "(h 2) (w 2) c -> h w c", "mean").round().astype(np.uint8)


def film_episode(
    scene: Simulator,
    played: EpisodeRecord,
    *,
    video: Path | None = None,
    strip: Path | None = None,
    camera: str = "",
    renderer: Renderer | None = None,
) -> None:
    """Write a finished episode as a video, as a strip of stills, or both.

    Args:
        scene: the simulator in which it ran.
        played: the episode.
        video: MP4 file to write.
        strip: PNG file to write.
        camera: name of the camera; the scene's first camera by default.
        renderer: used instead of a new one, and left open.

    Raises:
        RenderUnavailable: no renderer works here.
        UserError: a file cannot be written.
    """
    own = renderer or Renderer(scene, camera=camera)
    try:
        film(own, played.states, scene.spec.control_dt, video=video, strip=strip, captions=captions(played))
    finally:
        if renderer is None:
            own.close()


def captions(played: EpisodeRecord) -> list[str]:
    """A caption for each state: the robot's goal, and at the end how the episode ended."""
    name, result = played.result.task, played.result
    end = f"{name}: done" if result.success else f"{name}: failed, {played.why}"
    during = [f"{name}: {after}" if after != name else name for after in played.after]
    return [*during, end]
