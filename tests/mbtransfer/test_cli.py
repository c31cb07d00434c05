from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import mbtransfer
from mbtransfer.arguments import flags, parse
from mbtransfer.cli import RUN
from mbtransfer.collecting.collect import collect, open_dataset
from mbtransfer.collecting.units import plan_units
from mbtransfer.commands.collect import run_collect
from mbtransfer.config import COMMANDS, EvaluateConfig, FitConfig
from mbtransfer.dataset import Dataset
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.fit_defaults import suited
from tasks.registry import make
from world_models.ensemble import EnsembleConfig
from world_models.learning import fit

COMMAND = [sys.executable, "-m", "mbtransfer"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def run(*argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **options
    )


def refused(*argv: str | Path, **options: Any) -> str:
    """The one line with which a command ends that cannot be done."""
    ended = run(*argv, **options)
    assert ended.returncode == 2, ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), ended.stderr
    assert not ended.stdout
    return lines[0]


def test_help_comes_at_once_and_names_every_command() -> None:
    ended = run("--help")
    assert ended.returncode == 0 and not ended.stderr
    assert all(f"\n  {name} " in ended.stdout for name in COMMANDS)
    heavy = (
        "import sys, mbtransfer.cli; mbtransfer.cli.main(['--help']); "
        "print({'torch', 'mujoco', 'pandas'} & set(sys.modules))"
    )
    imported = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert imported.stdout.splitlines()[-1] == "set()"


def test_version() -> None:
    assert run("--version").stdout.strip() == f"mbtransfer {mbtransfer.__version__}"


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
    assert set(COMMANDS) == set(RUN)


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
    for kind in (EnsembleConfig(), fit.FitConfig()):
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
        ("collect --out x --near nan", "--near must be at least 0 and at most 1, not nan"),
        ("collect --out x --noise inf", "--noise must be at least 0, not inf"),
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


def test_wrong_command_lines_end_with_code_2(tmp_path: Path) -> None:
    assert "did you mean 'collect'?" in refused("colect")
    assert "did you mean '--steps'?" in refused("collect", "--out", "x", "--step", "3")
    assert "either --task or --recipe" in refused("plan", "--model", "x")
    assert "--model must be given" in refused("evaluate", "--split", "source")
    assert "did you mean 'kitchen'?" in refused("tasks", "--env", "kitchn")
    assert "did you mean 'mppi'?" in refused("collect", "--out", tmp_path / "data", "--planner", "mpi")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--env kitchn", "did you mean 'kitchen'?"),
        ("--tasks drawer_opn", "did you mean 'drawer_open'?"),
        ("--tasks drawer_open --behaviours babble", "--tasks is for the behaviours"),
        ("--branches 3 --behaviours babble", "--branches is for the behaviours"),
        ("--chain --behaviours noise reach", "--chain is for the behaviours"),
        ("--tasks drawer_open --settings knots=99", "knots cannot be 99"),
        ("--tasks drawer_open --settings knots", "is not NAME=NUMBER"),
        ("--tasks drawer_open --locked drawer", "holds in place"),
        ("--locked drawr", "did you mean 'drawer'?"),
        ("--behaviours planner", "needs --model"),
        ("--behaviours babbel", "did you mean 'babble'?"),
        ("--model /nowhere", "/nowhere is not a model folder"),
        ("--planner random_shootin", "did you mean 'random_shooting'?"),
    ],
)
def test_collect_refuses_what_does_not_exist_or_fit_before_it_writes(
    line: str, words: str, tmp_path: Path
) -> None:
    config = parse(["collect", "--out", str(tmp_path / "data"), *line.split()])
    with pytest.raises(USER_ERRORS) as raised:
        run_collect(config)
    assert words in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    assert "file" in refused("collect", "--out", tmp_path / "file", "--steps", "10")
    assert (tmp_path / "file").read_text() == "precious"
    assert "is a folder" in refused("tasks", "--json", tmp_path)
    assert "not a regular file" in refused("tasks", "--json", "/dev/null")


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    data, kitchen = tmp_path / "data", make("kitchen")
    collect(kitchen, open_dataset(kitchen, str(data)), plan_units(20, 0, episode_steps=10))
    before = Dataset.open(data).digest
    assert "File too large" in refused("collect", "--out", data, "--workers", "1", preexec_fn=limit)
    assert Dataset.open(data).digest == before


def test_an_unexpected_error_is_one_line_and_code_1() -> None:
    broken = "import mbtransfer.cli as c; c.RUN['report'] = 'json:nothing'; exit(c.main(['report', '.']))"
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=ENVIRONMENT)
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "AttributeError" in ended.stderr and "MBTRANSFER_DEBUG=1" in ended.stderr
    debug = ENVIRONMENT | {"MBTRANSFER_DEBUG": "1"}
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=debug)
    assert ended.returncode == 1 and "Traceback" in ended.stderr


def test_tasks_lists_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    ended = run("tasks", "--env", "kitchen", "--json", path)
    assert ended.returncode == 0 and not ended.stderr
    found = json.loads(path.read_text())
    assert set(found) == {"tasks", "recipes", "fixtures"}
    assert len(found["tasks"]) >= 24 and len(found["recipes"]) >= 10 and len(found["fixtures"]) >= 9
    for table, keys in (
        ("tasks", "name split description"),
        ("recipes", "name steps"),
        ("fixtures", "name low high unit"),
    ):
        assert all(set(item) == set(keys.split()) for item in found[table])
        assert all(item["name"] in ended.stdout for item in found[table])
    assert {task["split"] for task in found["tasks"]} == {"source", "held_out"}
    for title in ("Source tasks", "Held-out targets", "Held-out fixtures", "Recipes", "Fixtures"):
        assert title in ended.stdout


COLLECT = ("--steps", "24000", "--episode-steps", "40")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was collected without interruption, by one process."""
    data = tmp_path_factory.mktemp("whole") / "data"
    ended = run("collect", "--out", data, *COLLECT, "--workers", "1", "--json", data.with_suffix(".json"))
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    return data


def test_collect_tells_what_it_collected(whole: Path) -> None:
    found = json.loads(whole.with_suffix(".json").read_text())
    assert found["steps"] == 24_000
    steps = {name: counts["steps"] for name, counts in found["behaviours"].items()}
    assert steps == {"babble": 21_600, "noise": 1_200, "reach": 1_200}
    assert found["digest"] == Dataset.open(whole).digest
    ended = run("dataset", whole)
    assert ended.returncode == 0 and "24,000 control steps" in ended.stdout and "babble" in ended.stdout


def test_killed_and_interrupted_two_processes_end_with_the_data_of_one(whole: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    line = ["collect", "--out", str(data), *COLLECT, "--workers", "2"]
    code, _ = stopped(line, data, signal.SIGKILL, 1)
    assert code == -signal.SIGKILL
    assert 0 < Dataset.open(data).steps < 24_000
    one = Dataset.open(data).keys()[0]  # however late the kill came, much is left to be interrupted
    for path in set(data.glob("shards/*")) - set(data.glob(f"shards/{one}.*")):
        path.unlink()
    first = Dataset.open(data)
    code, errors = stopped(line, data, signal.SIGINT, 2)
    assert code == 130
    again = "run the same command again to continue"
    assert errors.splitlines() == [f"interrupted; what was finished is kept, {again}"]
    assert first.steps < Dataset.open(data).steps < 24_000
    ended = run(*line)
    assert ended.returncode == 0 and "steps were collected before and are kept" in ended.stdout
    assert Dataset.open(data).digest == Dataset.open(whole).digest


def stopped(line: list[str], data: Path, how: signal.Signals, shards: int) -> tuple[int, str]:
    """Send a signal to a command as soon as a dataset has so many shards; exit code and last words."""
    process = subprocess.Popen(
        [*COMMAND, *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it in the background
    )  # fmt: skip
    while process.poll() is None and len(list(data.glob("shards/[a-z]*.json"))) < shards:
        time.sleep(0.002)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # a terminal sends it to every process
    else:
        process.send_signal(how)
    errors = process.communicate(timeout=30)[1]
    return process.returncode, errors
