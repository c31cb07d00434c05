"""The job scripts of `examples/cluster`, with Slurm and what they start replaced by lines that say what was asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbtransfer.cli.parser import parse
from mbtransfer.config import FitConfig, ReproduceConfig, SweepConfig

CLUSTER = Path(__file__).resolve().parents[2] / "examples" / "cluster"

pytestmark = pytest.mark.skipif(not CLUSTER.is_dir(), reason="a wheel comes without examples")

PROGRAMS = {
    "scontrol": "printf 'one\\ntwo\\n'",
    "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "hostname": "echo 10.0.0.7 10.1.0.7",
    "ray": '[[ ${#RAY_AUTH_TOKEN} == 64 ]] && echo "$@" >> "$TOLD.ray"; [[ $1 != start ]] || exec sleep 5',
    "torchrun": 'echo "$@" > "$TOLD.torchrun"; while [[ $1 != -m ]]; do shift; done; shift; exec "$@"',
    "mbtransfer": 'while [[ -e $TOLD.ray && $(grep -c ^start "$TOLD.ray") -lt 2 ]]; do sleep 0.05; done; '
    'printf "%s\\n" "$@" > "$TOLD"',
    "python": f'exec {sys.executable} "$@"',
}

SLURM = {
    "SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2",
    "SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "3",
}  # fmt: skip


def told(tmp_path: Path, script: str, *words: str, **more: str) -> list[str]:
    """The words after `mbtransfer` that a job script comes to."""
    (home := tmp_path / "venv" / "bin").mkdir(parents=True)
    for name, line in PROGRAMS.items():
        (home / name).write_text(f"#!/bin/bash\n{line}\n")
        (home / name).chmod(0o755)
    (home / "activate").write_text(f'PATH="{home}:$PATH"\n')
    known = {**os.environ, **SLURM, "VENV": str(home.parent), "TOLD": str(tmp_path / "told"), **more}
    subprocess.run(["bash", str(CLUSTER / script), *words], env=known, cwd=tmp_path, check=True, timeout=60)
    return (tmp_path / "told").read_text().splitlines()


def test_a_command_is_run_on_a_cluster_of_all_nodes(tmp_path: Path) -> None:
    config = parse(told(tmp_path, "ray.sbatch", "sweep", "file.yaml", "--count", "9"))
    assert isinstance(config, SweepConfig) and config.engine == "ray" and config.workers == 8
    asked = (tmp_path / "told.ray").read_text().splitlines()
    assert config.address == "10.0.0.7:23456"
    assert all(config.address in line or "--port=23456" in line for line in asked)
    assert sum("start" in line for line in asked) == 2


def test_a_task_of_the_array_is_a_seed(tmp_path: Path) -> None:
    config = parse(told(tmp_path, "seeds.sbatch", "somewhere/mine.yaml"))
    assert isinstance(config, ReproduceConfig) and config.seeds == (3,) and config.workers == 4
    assert config.table == Path("runs/reproduce/mine-seed-3.md")


def test_members_are_shared_by_processes(tmp_path: Path) -> None:
    config = parse(told(tmp_path, "fit.sbatch", "--data", "DATA", "--out", "MODEL", SLURM_GPUS_ON_NODE="2"))
    assert isinstance(config, FitConfig) and str(config.data) == "DATA"
    assert "--nnodes=2 --nproc-per-node=2" in (tmp_path / "told.torchrun").read_text()
