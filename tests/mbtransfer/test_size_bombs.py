"""Small files that promise much: one line, exit 2, and no memory for what they promise."""

from __future__ import annotations

import io
import json
import resource
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.report.results_dir import read_results_dir
from mbtransfer.runtime.files import MOST_BYTES, read_sealed
from tests.mbtransfer.data.episodes import fill
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.checkpoint.manifest import seal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")

MOST = 512 * 2**20
"""Bytes of address space that refusing may take."""

DEEP = "[" * 100_000


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a command that must end in one line and exit code 2, with little memory; gives the line."""

    def run(*line: object) -> str:
        before = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST, before[1]))
        try:
            code = main([str(word) for word in line])
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        told = capsys.readouterr().err.strip()
        assert code == 2 and "\n" not in told and "unexpected" not in told, told
        return told

    yield run


def tensors(header: str) -> bytes:
    """A safetensors file without any numbers."""
    return struct.pack("<Q", len(header)) + header.encode()


TENSORS = {
    "a trillion numbers": tensors(
        '{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4000000000000]}}'
    ),
    "a header of a petabyte": struct.pack("<Q", 10**15) + b"{}",
    "a header nested deep": tensors('{"__metadata__": ' + DEEP),
    "metadata nested deep": tensors(json.dumps({"__metadata__": {"mbtransfer": DEEP}})),
    "sizes that overflow": tensors(
        '{"a": {"dtype": "F32", "shape": [4294967296, 4294967296, 2], "data_offsets": [0, 0]}}'
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors(kind: str, fitted_folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    copy = copied(fitted_folder, tmp_path)
    next(copy.glob("pool-*.safetensors")).write_bytes(TENSORS[kind])
    refused("check", "--model", copy, "--tasks", "drawer_open")
    fill(tmp_path / "data", units=1)
    next((tmp_path / "data" / "shards").glob("*.safetensors")).write_bytes(TENSORS[kind])
    with pytest.warns(UserWarning, match="left out 1 damaged"):
        assert Dataset.open(tmp_path / "data", verify=False).damaged


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"members": 1000, "hidden": 16384, "layers": 64}},
        {"config": {"hidden": 10**12}},
        {"config": {"hidden": 10**4000}},
        {"tensors": None},
        {"tensors": {"file": "dynamics.safetensors"}},
        {"tensors": {"file": "/dev/zero", "sha256": "0"}},
    ],
    ids=["wide", "wider than can be", "a number of 4,000 digits", "no weights", "no checksum", "a device"],
)
def test_manifests(
    change: dict[str, object], fitted_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = copied(fitted_folder, tmp_path) / MANIFEST
    content = json.loads(path.read_text())
    del content["sha256"]
    for name, value in change.items():
        content[name] = content[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(content | {"sha256": seal(content)}))
    refused("check", "--model", path.parent, "--tasks", "drawer_open")


@pytest.mark.parametrize("text", [DEEP, "1" * 5000], ids=["nested deep", "a long number"])
def test_json(text: str, fitted_folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    copy = copied(fitted_folder, tmp_path)
    (copy / MANIFEST).write_text(text)
    refused("check", "--model", copy, "--tasks", "drawer_open")
    fill(tmp_path / "data", units=1)
    (tmp_path / "data" / "dataset.json").write_text(text)
    refused("dataset", "info", tmp_path / "data")


def test_json_of_a_hundred_megabytes_is_not_read(tmp_path: Path, refused: Callable[..., str]) -> None:
    fill(tmp_path / "data", units=1)
    large(tmp_path / "data" / "dataset.json")
    assert "more than 64 MB" in refused("dataset", "info", tmp_path / "data")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "diagnostics.json").write_text("{}")
    large(tmp_path / "results" / "summary.json")
    assert "more than 64 MB" in read_results_dir(tmp_path / "results").absent["summary.json"]


PLAN = ["plan", "--dynamics", "oracle", "--reward", "true", "--recipe"]


@pytest.mark.parametrize("command", [["sweep"], ["reproduce"], PLAN], ids=["sweep", "benchmark", "recipe"])
def test_yaml_of_a_hundred_megabytes_is_not_read(
    command: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    large(tmp_path / "a.yaml")
    assert "larger than" in refused(*command, tmp_path / "a.yaml")


def npz(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(shape: tuple[int, ...], data: bytes = b"", dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("obs", "said"),
    [
        (npy((10**12, 3)), "promises"),
        (npy((10**9, 3), dtype="<f8"), "promises"),
        (npy((10, 3), bytes(240), "|O"), "Object"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "format version"),
        (b"", "cannot read"),
    ],
    ids=["terabytes", "gigabytes", "objects", "another version", "nothing"],
)
def test_archives_of_arrays(obs: bytes, said: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    path = npz(tmp_path / "a.npz", {"observations": obs, "actions": npy((1, 1), b"\0" * 4)})
    told = refused("dataset", "import", path, "--out", tmp_path / "data", "--control-dt", "0.1")
    assert said in told
    assert not (tmp_path / "data").exists()


def test_state_without_an_end_is_not_read(tmp_path: Path) -> None:
    large(tmp_path / "a.json")
    with pytest.raises(Exception, match="more than 64 MB"):
        read_sealed(tmp_path / "a.json", "")


def large(path: Path) -> None:
    """A file of a hundred megabytes that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 36 * 2**20)


def copied(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))
