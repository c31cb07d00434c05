"""The clock of an evaluation: flags, traces, what is recorded, and a world that runs too fast for its planner."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.errors import UserError
from mbtransfer.evaluation.clock import read_trace
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.results_store import read_settings, settings_path
from mbtransfer.model import Model

QUICK = ["--episodes", "2", "--workers", "1", "--device", "cpu", "--candidates", "8", "--iterations", "1"]


@pytest.fixture
def line(drifting: Callable[..., Model], tmp_path: Path) -> list[str]:
    """An evaluation of one task."""
    drifting().save(tmp_path / "model")
    return [
        "evaluate",
        "--model",
        str(tmp_path / "model"),
        "--tasks",
        "drawer_half",
        "--reward",
        "true",
        *QUICK,
    ]


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--latency-ms", "10"], "--latency-ms needs --clock realtime"),
        (["--clock-speed", "2"], "--clock-speed needs --clock realtime"),
        (["--clock", "realtime", "--latency-ms", "1", "--latency-trace", "x"], "give one of them"),
        (["--clock", "realtime", "--latency-trace", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_flags_that_do_not_belong_together_are_refused(
    line: list[str], flags: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line, *flags]) == 2
    assert error in capsys.readouterr().err


def test_a_trace_is_a_latency_per_line(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text("12.5\n\n40\n")
    assert read_trace(file) == (12.5, 40.0)
    for text, error in (
        ("12\nfast\n", "line 2: 'fast'"),
        ("-1", "line 1"),
        ("nan", "line 1"),
        ("", "is empty"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=error):
            read_trace(file)


def test_the_clock_is_told_and_recorded(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    line += ["--rows", str(rows), "--clock", "realtime", "--latency-ms", "50", "--extra-latency-ms", "60"]
    assert main(line) == 0
    assert "decisions take 110 ms (given), so that plans act 2 control steps late" in capsys.readouterr().out
    (settings,) = read_settings(settings_path(rows))["settings"].values()
    assert settings["latencies_ms"] == [110.0] and settings["clock_speed"] == 1.0
    assert main(line) == 0, "run again, it continues"
    assert main([*line, "--no-compensate"]) == 2
    assert "made with other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_latencies_are_measured_where_none_are_given(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line, "--clock", "realtime"]) == 0
    assert "(measured)" in capsys.readouterr().out


def test_a_world_that_waits_has_no_clock_in_its_settings(
    drifting: Callable[..., Model], tmp_path: Path
) -> None:
    drifting().save(tmp_path / "model")
    asked = EvalConfig(model=str(tmp_path / "model"), device="cpu")
    assert "latencies_ms" not in asked.resolve().described()
