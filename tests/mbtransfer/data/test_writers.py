"""Several processes write to one dataset at once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mbtransfer.data import Dataset
from tests.mbtransfer.data import episodes
from tests.mbtransfer.data.episodes import HEADER, assert_same, fill, make_batch, shard_files


def test_units_finished_by_another_process_are_seen(tmp_path: Path) -> None:
    mine, theirs = fill(tmp_path, units=1), Dataset.open(tmp_path)
    theirs.append(make_batch(1), "babble-000001")
    assert "babble-000001" in mine and mine.append(make_batch(1), "babble-000001") is False
    assert len(mine) == 6


def test_two_writers_of_the_same_key_leave_one_whole_shard(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    writers = [Dataset.open(tmp_path) for _ in range(8)]
    barrier = threading.Barrier(len(writers))

    def write(number: int) -> None:
        barrier.wait()
        writers[number].append(make_batch(number % 2), "same")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dataset = Dataset.open(tmp_path)
    assert dataset.keys() == ["same"] and not dataset.damaged
    winner = 0 if next(dataset.episodes()).seed == 0 else 1
    for found, wanted in zip(dataset.episodes(), make_batch(winner), strict=True):
        assert_same(found, wanted)


CASES = """
import importlib.util, os, pathlib, signal, sys
spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
"""

WRITER = f"""{CASES}
dataset = cases.Dataset.open_or_create(sys.argv[2], cases.HEADER)
for unit in map(int, sys.argv[3:]):
    dataset.append(cases.make_batch(unit), f"babble-{{unit:06d}}")
    print(unit, flush=True)
"""


def start_writer(path: Path, units: range) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, episodes.__file__, str(path), *map(str, units)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_writers_leave_every_finished_shard_and_no_half_one(tmp_path: Path) -> None:
    # Two write the same units, one its own; all are killed at instants of chance.
    writers = [start_writer(tmp_path, range(a, a + 2000)) for a in (0, 0, 2000)]
    delays = random.Random(time.time_ns())
    finished: set[int] = set()
    for writer in writers:
        assert writer.stdout is not None
        finished.add(int(writer.stdout.readline()))  # it is at work
    for writer in writers:
        time.sleep(delays.uniform(0.0, 0.2))
        writer.kill()
    for writer in writers:
        finished |= {int(line) for line in writer.communicate()[0].split("\n")[:-1]}
    dataset = Dataset.open(tmp_path)
    keys = dataset.keys()
    assert not dataset.damaged
    assert {f"babble-{unit:06d}" for unit in finished} <= set(keys)
    wanted = (episode for key in keys for episode in make_batch(int(key.split("-")[1])))
    for found, episode in zip(dataset.episodes(), wanted, strict=True):
        assert_same(found, episode)
    resumed = fill(tmp_path, units=max(unit for unit in finished if unit < 2000) + 3)
    assert not resumed.damaged and not Dataset.open(tmp_path).damaged


# Kills a copy of itself before the first, second, ... call that touches the disk, or amid a write.
KILLER = f"""{CASES}
def die_at(moment):
    count = 0
    def wrap(owner, name, half=False):
        original = getattr(owner, name)
        def call(*arguments):
            nonlocal count
            count += 1
            if count == moment:
                if half:
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)
        setattr(owner, name, call)
    wrap(pathlib.Path, "write_bytes", half=True)
    for name in ("fsync", "replace", "unlink"):
        wrap(os, name)

for moment in range(1, 100):
    dataset = cases.fill(pathlib.Path(sys.argv[2]) / str(moment), units=1)
    child = os.fork()
    if child == 0:
        die_at(moment)
        dataset.append(cases.make_batch(1), "babble-000001")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


def test_a_kill_at_any_step_of_writing_leaves_all_or_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLER, episodes.__file__, str(tmp_path)], check=True)
    outcomes = []
    for moment in range(1, len(list(tmp_path.iterdir())) + 1):
        dataset = Dataset.open(tmp_path / str(moment))  # a damaged shard would warn, and so fail
        outcomes.append(len(dataset))
        assert len(fill(tmp_path / str(moment), units=2)) == 6
        for found, wanted in zip(dataset.episodes(), make_batch(0) + make_batch(1), strict=False):
            assert_same(found, wanted)
    assert len(outcomes) > 6 and outcomes == sorted(outcomes)
    assert outcomes[0] == 3 and outcomes[-1] == 6


@pytest.mark.slow
def test_processes_at_once_give_the_same_data_as_one(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path / "many", range(a, 12, 2)) for a in range(2)]
    assert [writer.wait() for writer in writers if writer.communicate()] == [0, 0]
    assert Dataset.open(tmp_path / "many").digest == fill(tmp_path / "one", units=12).digest


def test_leftovers_of_a_kill_are_harmless(tmp_path: Path) -> None:
    fill(tmp_path, units=2)
    (tmp_path / "shards" / "babble-000001.json").unlink()  # killed between the shard and its record
    old = tmp_path / "shards" / ".tmp-0123-babble-000002.abc.safetensors"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    dataset = Dataset.open(tmp_path)
    assert dataset.keys() == ["babble-000000"] and not dataset.damaged
    assert len(fill(tmp_path, units=3)) == 9
    assert not old.exists()
    assert len(shard_files(tmp_path)) == 3
