"""Flags: their help, their values and defaults, and words that are none."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from mbtransfer.cli.main import run_function
from mbtransfer.cli.parser import flags, parse
from mbtransfer.config import COMMANDS, EvaluateConfig, FitConfig
from mbtransfer.errors import UserError
from mbtransfer.training.fit import suited
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training import trainer as fit


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_each_flag_with_its_default_and_says_what_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse([*name.split(), "--help"])
    assert end.value.code in (0, None)
    shown = capsys.readouterr().out
    for flag in flags(COMMANDS[name]):
        assert flag.positional or flag.name in shown
    assert shown.count("(default:") + shown.count("(required)") >= len(fields(COMMANDS[name]))
    assert callable(run_function(name))


def test_flags_of_the_contract() -> None:
    line = (
        "evaluate --model M --tasks a b --recipes tea r.yaml --split held_out --task-file t.py --planner icem"
    )
    line += (
        " --dynamics oracle --reward true --labels 100 --episodes 3 --seeds 0 1 2 --rows r.csv --json j.json"
    )
    config = parse(line.split())
    assert isinstance(config, EvaluateConfig)
    assert (config.tasks, config.recipes, config.seeds) == (("a", "b"), ("tea", "r.yaml"), (0, 1, 2))
    assert (config.split, config.planner, config.labels, config.episodes) == ("held_out", "icem", 100, 3)
    assert (config.model, config.task_file, config.json) == (Path("M"), Path("t.py"), Path("j.json"))
    for other in (
        "demo --out D --seed 3",
        "collect --env kitchen --out D --tasks drawer_open --steps 10 --seed 1",
        "fit --data D --out M --seed 2",
        "adapt --model M --task NAME --episodes 5 --out M2 --json F",
        "check --model M --recipe FILE --json F",
        "plan --model M --task NAME --video v.mp4",
        "tasks --env kitchen --json F",
        "report D",
    ):
        assert type(parse(other.split())) is COMMANDS[other.split()[0]]
    for other, name in (
        ("dataset info D --json F --plot F.png", "dataset info"),
        ("dataset D --json F", "dataset info"),
        ("dataset --json F D", "dataset info"),
        ("dataset import minari:NAME --out D --env E --keys a b", "dataset import"),
        ("dataset export D minari:NAME", "dataset export"),
    ):
        assert type(parse(other.split())) is COMMANDS[name]


def test_defaults_of_fit_are_those_of_the_models() -> None:
    config = suited(FitConfig(data=Path(), out=Path()), make("kitchen").spec)
    for kind in (EnsembleConfig(), fit.TrainingConfig()):
        shared = vars(kind).keys() & vars(config).keys()
        assert {name: getattr(config, name) for name in shared} == {
            name: getattr(kind, name) for name in shared
        }
    assert vars(EnsembleConfig()).keys() <= vars(config).keys()


def test_fit_chooses_for_the_environment_what_nobody_has_said() -> None:
    walker = make("dm_control:walker").spec
    bare = suited(FitConfig(data=Path(), out=Path(), hidden=32), walker)
    assert (bare.structure, bare.hidden, bare.learning_rate, bare.epochs) == ("dense", 32, 1e-3, 80)
    assert suited(bare, make("kitchen").spec) == bare


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "a command must be given"),
        ("--verbose", "no flag --verbose before the command"),
        ("colect --out x", "no command 'colect'; did you mean 'collect'?"),
        ("datasets", "no command 'datasets'; did you mean 'dataset'?"),
        ("datasets --help", "no command 'datasets'; did you mean 'dataset'?"),
        ("dataset", "needs one more word: dataset info, dataset import, dataset export"),
        ("dataset exprt x minari:y", "no command 'dataset exprt'; did you mean 'dataset export'?"),
        ("collect", "--out must be given"),
        ("collect --out", "--out needs a value"),
        ("collect --out x --step 10", "no flag --step; did you mean '--steps'?"),
        ("collect --out x -n 10", "no flag -n"),
        ("collect --out x y", "'y' follows no flag"),
        ("collect --out x --steps 0", "--steps must be at least 1, not 0"),
        ("collect --out x --steps many", "--steps needs a whole number, not 'many'"),
        ("collect --out x --steps=1 --steps=2", "--steps is given twice"),
        ("collect --out x --near nan", "--near must be finite, not nan"),
        ("collect --out x --noise inf", "--noise must be finite, not inf"),
        ("evaluate --model x --split heldout", "--split cannot be 'heldout'; did you mean 'held_out'?"),
        ("evaluate --model x --seeds", "--seeds needs at least one value"),
        ("evaluate --model x --seeds 1 b", "--seeds needs a whole number, not 'b'"),
        ("evaluate --model x --seeds 1 --seeds 2", "give all its values at once"),
        ("demo --out x --video=no", "--video takes no value; write --video or --no-video"),
        ("report", "DIR must be given"),
        ("report a b", "'b' follows no flag"),
    ],
)
def test_a_wrong_command_line_gets_one_line(line: str, words: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(line.split())
    assert words in str(raised.value) and "\n" not in str(raised.value)
