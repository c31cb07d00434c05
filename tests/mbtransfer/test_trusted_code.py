"""Names that are read from files run no code, whichever command or function reads them."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.data.header import read_header, write_header
from mbtransfer.errors import USER_ERRORS
from mbtransfer.model import Model
from mbtransfer.protocols import shipped_protocols
from tasks.errors import TaskError
from tasks.registry import make_recorded
from tasks.trusted_code import TrustedCodeWarning, named_code
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.checkpoint.manifest import seal

EXAMPLES = Path(__file__).parents[1] / "tasks" / "gym_examples.py"

NAMES = {
    "a file": "gym:{home}/evil.py:Evil",
    "a file with an argument": "gym:{home}/evil.py:Evil,speed=1",
    "a module": "gym:evil:Evil-v0",
    "an inner module": "gym:parts.evil:Evil-v0",
    "a line break before a module": "gym:\nparts.evil:E",
    "a line break in a file's name": "gym:{home}/\nevil.py:Evil",
    "an escape character": "gym:\x1b[2Jevil:E",
    "a module as an argument": "gym:GymV26Environment-v0,env_id=evil:Evil-v0",
    "an environment as an argument": "gym:mbtransfer/Kitchen-v0,environment=gym:{home}/evil.py:Evil",
    "a file without a class": "gym:{home}/evil.py",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a program in it, which is also the current one and on the path."""
    marker = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).write_text('ran')"
    program = f"{EXAMPLES.read_text()}\n\nEvil = Walk\n{marker}\n"
    (tmp_path / "evil.py").write_text(program)
    (tmp_path / "parts").mkdir()
    for name in ("__init__", "evil"):
        (tmp_path / "parts" / f"{name}.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("evil", "parts")]:
        del sys.modules[name]


def nothing_ran(home: Path) -> bool:
    loaded = [name for name in sys.modules if name.split(".")[0] in ("evil", "parts")]
    return not (home / "ran").exists() and not loaded


def poison_model(folder: Path, into: Path, name: str) -> Path:
    """A copy of a model whose manifest names another environment, and is sealed again."""
    shutil.copytree(folder, into)
    manifest = json.loads((into / MANIFEST).read_text())
    manifest["extra"]["env"] = name
    manifest.pop("sha256")
    (into / MANIFEST).write_text(json.dumps(manifest | {"sha256": seal(manifest)}))
    return into


def poison_data(dataset: Dataset, into: Path, name: str) -> Path:
    shutil.copytree(dataset.path, into)
    write_header(into, dataclasses.replace(read_header(into), env=name))
    return into


def poison_protocol(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump(yaml.safe_load(shipped_protocols()["walker"].read_text()) | changes))
    return path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_loader_runs_what_a_file_names(
    name: str, home: Path, dataset: Dataset, fitted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = name.format(home=home)
    model, data = poison_model(fitted_folder, home / "model", name), poison_data(dataset, home / "data", name)
    protocol = poison_protocol(home / "protocol.yaml", env=name)
    commands = {
        "check": f"check --model {model} --task drawer_open",
        "evaluate": f"evaluate --model {model} --tasks drawer_open --workers 2",
        "evaluate, learned reward": f"evaluate --model {model} --dynamics oracle --tasks drawer_open",
        "plan": f"plan --model {model} --task drawer_open",
        "adapt": f"adapt --model {model} --task drawer_open --episodes 1 --out {home}/adapted",
        "prepare": f"prepare --model {model} --tasks drawer_open --updates 1",
        "calibration": f"calibration --model {model} --data {data}",
        "fit": f"fit --data {data} --out {home}/fitted --epochs 1",
        "strip": f"dataset strip {data} --out {home}/stripped --fixtures drawer",
        "benchmark": f"reproduce {protocol} --out {home}/benchmark",
    }
    for command, line in commands.items():
        assert main(line.split()) == 2, command
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and "\x1b" not in said, (command, said)
    main(["dataset", "info", str(data)])  # describes what it can without the environment
    with pytest.raises(USER_ERRORS):
        Model.load(model)
    assert nothing_ran(home)
    made = ("adapted", "fitted", "stripped", "benchmark")
    assert not any((home / folder).exists() for folder in made)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_import_runs_what_a_file_names(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    name, rng = name.format(home=home), np.random.default_rng(0)
    with h5py.File(home / "robomimic.hdf5", "w") as file:
        file.create_group("data").attrs["env_args"] = json.dumps({"env_name": name, "type": name})
        for part, columns in (("obs", 3), ("actions", 2)):
            file[f"data/demo_0/{part}"] = rng.normal(size=(5, columns)).astype(np.float32)
    main(["dataset", "import", str(home / "robomimic.hdf5"), "--out", str(home / "taken")])
    capsys.readouterr()
    if (home / "taken").exists():
        main(["dataset", "info", str(home / "taken")])
    assert nothing_ran(home)


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
@pytest.mark.parametrize("key", ["entry_point", "vector_entry_point", "id", "additional_wrappers"])
def test_no_minari_metadata_runs_code(
    key: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    h5py, minari = pytest.importorskip("h5py"), pytest.importorskip("minari")
    from gymnasium.spaces import Box

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(home / "minari"))
    episode = minari.data_collector.EpisodeBuffer(
        observations=np.zeros((4, 2), np.float32), actions=np.zeros((3, 1), np.float32), rewards=np.zeros(3),
        terminations=np.zeros(3, bool), truncations=np.arange(3) == 2,
    )  # fmt: skip
    spaces = {"observation_space": Box(-1, 1, (2,)), "action_space": Box(-1, 1, (1,))}
    minari.create_dataset_from_buffers("poisoned-v0", [episode], **spaces)
    wrapper = {"name": "E", "entry_point": "evil:Evil", "kwargs": None}
    spec = {"id": "Evil-v0", "entry_point": "evil:Evil", "kwargs": {}, "additional_wrappers": []}
    spec |= {key: {"id": "evil:Evil-v0", "additional_wrappers": [wrapper]}.get(key, "evil:Evil")}
    (file,) = (home / "minari").rglob("*.hdf5")
    with h5py.File(file, "r+") as opened:
        opened.attrs["env_spec"] = json.dumps(spec)
    for metadata in (home / "minari").rglob("metadata.json"):
        about = json.loads(metadata.read_text())
        metadata.write_text(json.dumps(about | {"env_spec": json.dumps(spec)}))
    main(["dataset", "import", "minari:poisoned-v0", "--out", str(home / "taken")])
    assert len(capsys.readouterr().err.splitlines()) <= 1
    assert nothing_ran(home)


@pytest.mark.parametrize(
    "settings",
    [
        {"env": "gym:evil:Evil-v0"},
        {"task_file": "evil.py"},
        {"task-file": "evil.py"},
        {"planner": "evil.py:Evil"},
        {"trust_code": True},
        {"trust-code": True},
        {"no-trust-code": True},
    ],
    ids=lambda settings: "=".join(map(str, next(iter(settings.items())))),
)
def test_a_protocol_cannot_trust_itself(
    settings: dict[str, object], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = poison_protocol(home / "protocol.yaml", evaluate={"learned": settings})
    assert main(["reproduce", str(protocol), "--out", str(home / "benchmark")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert nothing_ran(home) and not (home / "benchmark").exists()


@pytest.mark.slow
def test_a_stage_or_row_names_no_code(
    home: Path, fitted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that results were made with are compared and never resolved."""
    name = f"gym:{home}/evil.py:Evil"
    stages = home / "demo" / "stages"
    stages.mkdir(parents=True)
    (stages / "settings.json").write_text(json.dumps({"env": name, "planner": name}))
    assert main(["demo", "--out", str(home / "demo"), "--steps", "100"]) == 2
    (home / "rows.settings.json").write_text(
        json.dumps({"version": 1, "settings": {"x": {"env": name}}, "runs": {"task drawer_open 0": "x"}})
    )
    line = f"evaluate --model {fitted_folder} --tasks drawer_open --episodes 1 --rows {home}/rows.csv"
    main([*line.split(), "--candidates", "2", "--horizon", "1", "--workers", "1"])
    capsys.readouterr()
    assert nothing_ran(home)


def test_trusted_code_is_shown_with_its_checksum_before_it_runs(
    home: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"gym:{home}/evil.py:Evil"
    data = poison_data(dataset, home / "data", name)
    with pytest.warns(TrustedCodeWarning, match=rf"running {home}/evil.py, sha256 [0-9a-f]{{64}}, named by"):
        made = make_recorded(name, str(data), trust_code=True)
    assert (home / "ran").exists() and made.spec.name == name
    assert make_recorded(name, str(data)) is made  # what the process has made already is no news


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("kitchen", None),
        ("dm_control:walker", None),
        ("metaworld:drawer", None),
        ("ogbench:scene", None),
        ("gym:Pendulum-v1", None),
        ("gym:Ant-v5,include_cfrc_ext_in_observation=False,reset_noise_scale=0.1", None),
        ("gym:FetchReach-v4,reward_type=dense", None),
        ("gym:gymnasium_robotics:FetchReach-v4", "module gymnasium_robotics"),
        ("gym:my_env.py:Mine", "my_env.py"),
        ("gym:Ant-v5,xml_file=there.xml", "argument xml_file='there.xml'"),
    ],
)
def test_what_a_name_would_run(name: str, code: str | None) -> None:
    found = named_code(name)
    assert (found.name if found else None) == code


def test_a_line_that_refuses_says_what_to_do(home: Path) -> None:
    with pytest.raises(TaskError, match=r"DATA names Python code .* sha256 .* add --trust-code"):
        make_recorded(f"gym:{home}/evil.py:Evil", "DATA")


@pytest.mark.slow
def test_a_caller_who_names_it_may_read_what_names_it(
    home: Path, fitted_folder: Path, read: Callable[..., str]
) -> None:
    """A worker process has not met the caller: it is told that the code is trusted."""
    name = f"gym:{home}/evil.py:Evil"  # its episodes end early, at any action
    common = "--episode-steps 10 --steps 200 --workers 1"
    read(f"collect --env {name} --out {home}/data {common}")
    small = "--epochs 1 --hidden 8 --members 2 --layers 1"
    assert "trust" in read(f"fit --data {home}/data --out {home}/model {small}", code=2)
    said = read(f"fit --data {home}/data --out {home}/model {small} --trust-code")
    assert "sha256" in said
    plain = (
        f"evaluate --model {home}/model --tasks native --episodes 1 --seeds 0 1 --candidates 2 --horizon 2"
    )
    assert "trust" in read(plain, code=2)
    read(f"{plain} --workers 2 --trust-code")
    read(f"{plain} --workers 2 --env {name}")


@pytest.fixture
def read() -> Callable[..., str]:
    """Run a command in a process of its own, and give all that it says."""

    def run(line: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "mbtransfer", *line.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    return run
