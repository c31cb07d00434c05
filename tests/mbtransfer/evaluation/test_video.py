from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation import video as module
from mbtransfer.evaluation.video import captioned, film, stills, write_strip, write_video

DT = 0.1

# What imageio-ffmpeg's reader leaves open; only the tests read films.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Painter:
    """Stands in for a renderer: the first number of a state is the brightness."""

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def frame(self, state: np.ndarray) -> np.ndarray:
        self.drawn.append(float(state[0]))
        return np.full((64, 96, 3), int(state[0]), np.uint8)


def frames(n: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(n)]


def probe(path: Path) -> dict[str, object]:
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = dict(next(reader))
    meta["frames"] = sum(1 for _ in reader)
    return meta


def test_a_video_plays_everywhere(tmp_path: Path) -> None:
    write_video(tmp_path / "new" / "a.mp4", iter(frames(12)), fps=10.0)
    meta = probe(tmp_path / "new" / "a.mp4")
    assert (meta["codec"], meta["size"], meta["fps"], meta["frames"]) == ("h264", (64, 48), 10.0, 12)
    assert "yuv420p" in str(meta["pix_fmt"])
    data = (tmp_path / "new" / "a.mp4").read_bytes()
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")  # starts to play before all of it is there
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_odd_sizes_lose_their_edge(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(3, 33, 51), fps=10.0)
    assert probe(tmp_path / "a.mp4")["size"] == (50, 32)


def test_a_video_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")

    def broken():  # type: ignore[no-untyped-def]
        yield frames(1)[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "a.mp4", broken(), fps=10.0)
    with pytest.raises(UserError, match="at least one picture"):
        write_video(tmp_path / "a.mp4", [], fps=10.0)
    monkeypatch.setattr(module.imageio_ffmpeg, "write_frames", no_ffmpeg)
    with pytest.raises(UserError, match="no ffmpeg here"):
        write_video(tmp_path / "a.mp4", frames(2), fps=10.0)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_an_ffmpeg_that_stops_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    for settings in (["-crf", "nonsense"], ["-frames:v", "0"], ["-f", "null"]):
        monkeypatch.setattr(module, "_SETTINGS", settings)
        with pytest.raises(UserError, match="ffmpeg stopped early") as caught:
            write_video(tmp_path / "a.mp4", frames(60, 240, 320), fps=10.0)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def no_ffmpeg(*arguments: object, **settings: object) -> None:
    raise RuntimeError("No ffmpeg exe could be found")


def test_a_strip_is_a_row_of_stills(tmp_path: Path) -> None:
    shots = [np.full((48, 64, 3), value, np.uint8) for value in range(0, 100, 10)]
    write_strip(tmp_path / "a.png", shots)
    row = iio.imread(tmp_path / "a.png")
    assert row.shape == (24, 6 * 32 + 5 * 4, 3)
    assert [int(row[5, 36 * i + 5, 0]) for i in range(6)] == [0, 20, 40, 50, 70, 90]
    assert row[0, 33].tolist() == [255, 255, 255]
    write_strip(tmp_path / "b.png", shots[:2])
    assert iio.imread(tmp_path / "b.png").shape == (24, 2 * 32 + 4, 3)
    with pytest.raises(UserError, match="at least one picture"):
        write_strip(tmp_path / "c.png", [])


@pytest.mark.parametrize(
    ("n", "expected"), [(1, [0]), (2, [0, 1]), (6, [0, 1, 2, 3, 4, 5]), (101, [0, 20, 40, 60, 80, 100])]
)
def test_stills_begin_with_the_first_and_end_with_the_last(n: int, expected: list[int]) -> None:
    assert stills(n) == expected


def test_a_caption_is_written_on_a_bar() -> None:
    frame = np.full((64, 96, 3), 200, np.uint8)
    first, second = captioned(frame, "1/3 light_on"), captioned(frame, "2/3 tap_open")
    assert first.shape == frame.shape and first.dtype == np.uint8
    assert np.array_equal(first[:40], frame[:40])
    assert first[-20:].mean() < 150
    assert not np.array_equal(first, second)
    assert frame.min() == 200


def test_an_episode_is_rendered_once(tmp_path: Path) -> None:
    states, painter = np.arange(21.0)[:, None] * 10, Painter()
    film(painter, states, DT, video=tmp_path / "a.mp4", strip=tmp_path / "a.png", every=2)
    assert painter.drawn == [10.0 * i for i in range(0, 21, 2)]
    meta = probe(tmp_path / "a.mp4")
    assert (meta["fps"], meta["frames"]) == (5.0, 11)
    assert iio.imread(tmp_path / "a.png")[10, 10].tolist() == [0, 0, 0]


def test_a_strip_alone_renders_its_stills_alone(tmp_path: Path) -> None:
    states, painter = np.arange(21.0)[:, None], Painter()
    film(painter, states, DT, strip=tmp_path / "a.png", captions=["going"])
    assert painter.drawn == [0, 4, 8, 12, 16, 20]
    with pytest.raises(UserError, match="at least one state"):
        film(painter, states[:0], DT, strip=tmp_path / "a.png")


def test_the_last_state_is_always_shown(tmp_path: Path) -> None:
    painter = Painter()
    film(painter, np.arange(6.0)[:, None], DT, video=tmp_path / "a.mp4", every=4)
    assert painter.drawn == [0, 4, 5]
