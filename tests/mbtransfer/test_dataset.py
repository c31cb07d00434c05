import dataclasses
import errno
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.dataset import DamagedShardWarning, Dataset, Header
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from tasks.spec import Variable

OBS, ACT, STATE = 4, 2, 3
HEADER = Header(
    env="kitchen",
    observation=(
        *(Variable(f"joint_{i}", "rad", -1.0, 1.0) for i in range(OBS - 1)),
        Variable("force", "N", -np.inf, np.inf),
    ),
    action=tuple(Variable(f"motor_{i}", "m/s", -0.5, 0.5) for i in range(ACT)),
    state_size=STATE,
    control_dt=0.1,
)


def make_episode(seed: int, behaviour: str = "babble") -> Episode:
    random = np.random.default_rng(seed)
    steps = int(random.integers(2, 9))
    return Episode(
        obs=random.standard_normal((steps + 1, OBS)).astype(np.float32),
        actions=random.standard_normal((steps, ACT)).astype(np.float32),
        state=random.standard_normal((steps + 1, STATE)),
        behaviour=behaviour,
        seed=seed,
        terminated=seed % 2 == 0,
        truncated=seed % 2 == 1,
    )


def make_batch(unit: int, size: int = 3) -> list[Episode]:
    return [make_episode(unit * size + i) for i in range(size)]


def fill(path: Path, units: int = 4) -> Dataset:
    dataset = Dataset.open_or_create(path, HEADER)
    for unit in range(units):
        dataset.append(make_batch(unit), f"babble-{unit:06d}")
    return dataset


def assert_same(a: Episode, b: Episode) -> None:
    for field in dataclasses.fields(Episode):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype and left.shape == right.shape
            assert left.tobytes() == right.tobytes()
        else:
            assert left == right and type(left) is type(right)


def shard_files(path: Path, key: str = "") -> list[Path]:
    return sorted((path / "shards").glob(f"{key}*.safetensors"))


# Round trip


def test_episodes_come_back_bit_for_bit_in_the_order_of_their_keys(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data", HEADER)
    for unit in (3, 0, 2, 1):
        assert dataset.append(make_batch(unit), f"babble-{unit:06d}")
    expected = [episode for unit in range(4) for episode in make_batch(unit)]
    for opened in (dataset, Dataset.open(tmp_path / "data"), Dataset.open(tmp_path / "data", verify=False)):
        assert len(opened) == 12 and opened.steps == sum(map(len, expected))
        for found, wanted in zip(opened.episodes(), expected, strict=True):
            assert_same(found, wanted)


def test_header_comes_back(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    assert Dataset.open(tmp_path).header == HEADER


def test_transitions_are_the_steps_of_the_episodes(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    episodes, batch = list(dataset.episodes()), dataset.transitions()
    assert len(batch) == dataset.steps
    np.testing.assert_array_equal(batch.obs, np.concatenate([e.obs[:-1] for e in episodes]))
    np.testing.assert_array_equal(batch.next_obs, np.concatenate([e.obs[1:] for e in episodes]))
    np.testing.assert_array_equal(batch.actions, np.concatenate([e.actions for e in episodes]))
    np.testing.assert_array_equal(batch.state, np.concatenate([e.state[:-1] for e in episodes]))
    np.testing.assert_array_equal(batch.next_state, np.concatenate([e.state[1:] for e in episodes]))
    np.testing.assert_array_equal(batch.episode, np.repeat(np.arange(12), [len(e) for e in episodes]))
    np.testing.assert_array_equal(batch.step, np.concatenate([np.arange(len(e)) for e in episodes]))
    ends = [np.arange(len(e)) == len(e) - 1 if e.terminated else np.zeros(len(e), bool) for e in episodes]
    np.testing.assert_array_equal(batch.terminated, np.concatenate(ends))


def test_take_reads_single_transitions_in_any_order(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    everything = dataset.transitions()
    rows = np.random.default_rng(0).integers(0, dataset.steps, 50)
    some = dataset.take(rows)
    for field in dataclasses.fields(some):
        np.testing.assert_array_equal(getattr(some, field.name), getattr(everything, field.name)[rows])
    with pytest.raises(IndexError):
        dataset.take(np.array([dataset.steps]))


def test_reading_never_changes_the_files(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    before = shard_files(tmp_path)[0].read_bytes()
    dataset.transitions().obs[:] = 0.0
    next(dataset.episodes()).obs[:] = 0.0  # mapped copy-on-write
    assert shard_files(tmp_path)[0].read_bytes() == before
    assert_same(next(Dataset.open(tmp_path).episodes()), make_batch(0)[0])


def test_same_data_gives_same_files_whatever_the_order(tmp_path: Path) -> None:
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1))):
        dataset = Dataset.create(tmp_path / name, HEADER)
        for unit in order:
            dataset.append(make_batch(unit), f"unit-{unit}")
    a, b = ({f.name: f.read_bytes() for f in (tmp_path / n).rglob("*") if f.is_file()} for n in "ab")
    assert a == b
    assert Dataset.open(tmp_path / "a").digest == Dataset.open(tmp_path / "b").digest
    dataset.append(make_batch(3), "unit-3")
    assert Dataset.open(tmp_path / "a").digest != dataset.digest


def test_arrays_in_column_order_are_kept_right(tmp_path: Path) -> None:
    episode = make_episode(1)
    turned = dataclasses.replace(
        episode, obs=np.asfortranarray(episode.obs), state=np.asfortranarray(episode.state)
    )
    dataset = Dataset.create(tmp_path, HEADER)
    dataset.append([turned, turned], "unit")
    for found in dataset.episodes():
        assert_same(found, episode)


# Again, and several at once


def test_a_finished_unit_is_never_written_twice(tmp_path: Path) -> None:
    fill(tmp_path)
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (tmp_path / "shards").iterdir()}
    dataset = fill(tmp_path)
    assert dataset.keys() == [f"babble-{unit:06d}" for unit in range(4)]
    assert "babble-000003" in dataset and "babble-000004" not in dataset
    assert dataset.append(make_batch(9), "babble-000003") is False
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (tmp_path / "shards").iterdir()} == before


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


def start_writer(path: Path, units: range) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, __file__, str(path), *map(str, units)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


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
    subprocess.run([sys.executable, "-c", KILLER, __file__, str(tmp_path)], check=True)
    outcomes = []
    for moment in range(1, len(list(tmp_path.iterdir())) + 1):
        dataset = Dataset.open(tmp_path / str(moment))  # a damaged shard would warn, and so fail
        outcomes.append(len(dataset))
        assert len(fill(tmp_path / str(moment), units=2)) == 6
        for found, wanted in zip(dataset.episodes(), make_batch(0) + make_batch(1), strict=False):
            assert_same(found, wanted)
    assert len(outcomes) > 6 and outcomes == sorted(outcomes)
    assert outcomes[0] == 3 and outcomes[-1] == 6


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


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "suffix", "reason"),
    [
        (flip, ".safetensors", "checksum"),
        (cut, ".safetensors", "bytes instead of"),
        (empty, ".safetensors", "0 bytes instead of"),
        (remove, ".safetensors", "missing"),
        (cut, ".json", "not what was written"),
        (empty, ".json", "not what was written"),
    ],
)
def test_a_damaged_shard_is_named_and_left_out(tmp_path: Path, harm, suffix: str, reason: str) -> None:
    fill(tmp_path)
    (target,) = (tmp_path / "shards").glob(f"babble-000002*{suffix}")
    harm(target)
    with pytest.warns(DamagedShardWarning, match=re.escape(target.name)) as warned:
        dataset = Dataset.open(tmp_path)
    assert len(warned) == 1
    (damage,) = dataset.damaged
    assert damage.name == target.name and reason in damage.reason
    assert dataset.info()["damaged"] == [{"name": damage.name, "reason": damage.reason}]
    expected = [episode for unit in (0, 1, 3) for episode in make_batch(unit)]
    for found, wanted in zip(dataset.episodes(), expected, strict=True):
        assert_same(found, wanted)
    assert "babble-000002" not in dataset
    assert dataset.append(make_batch(2), "babble-000002") is True  # collecting again heals it
    assert not dataset.damaged and not Dataset.open(tmp_path).damaged


def test_without_checksums_cut_and_strange_files_are_still_found(tmp_path: Path) -> None:
    fill(tmp_path)
    cut(shard_files(tmp_path, "babble-000001")[0])
    record = tmp_path / "shards" / "babble-000003.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"key": "babble-000001"}))
    with pytest.warns(DamagedShardWarning, match="2 damaged of 4"):
        dataset = Dataset.open(tmp_path, verify=False)
    assert dataset.keys() == ["babble-000000", "babble-000002"]


def test_a_shard_of_another_dataset_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "a", units=1)
    other = dataclasses.replace(HEADER, state_size=STATE + 1)
    Dataset.create(tmp_path / "b", other)
    (tmp_path / "a" / "shards").rename(tmp_path / "b" / "shards")
    with pytest.warns(DamagedShardWarning, match="state is"):
        assert len(Dataset.open(tmp_path / "b")) == 0


def test_a_record_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    record = tmp_path / "shards" / "babble-000000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": "../../etc/passwd"}))
    with pytest.warns(DamagedShardWarning, match="not what was written"):
        assert len(Dataset.open(tmp_path)) == 0


def test_a_shard_removed_while_in_use_is_one_line(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    dataset = Dataset.open(tmp_path)
    shard_files(tmp_path)[0].unlink()
    with pytest.raises(UserError, match="changed or removed"):
        dataset.transitions()


# Refusals


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../out",
        "a/b",
        "/etc/x",
        "a\\b",
        "a.json",
        "-x",
        ".tmp-x",
        "a\n",
        "a\0",
        "x" * 101,
        "ü",
    ],
)
def test_hostile_keys_are_refused(tmp_path: Path, key: str) -> None:
    dataset = fill(tmp_path / "data", units=1)
    before = sorted(tmp_path.rglob("*"))
    assert key not in dataset
    with pytest.raises(UserError, match="cannot be called"):
        dataset.append(make_batch(1), key)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("obs", np.nan, "obs is NaN at step 1, column 'joint_1'"),
        ("actions", np.inf, "actions is infinite at step 1, column 'motor_1'"),
        ("state", -np.inf, "state is infinite at step 1, column '1'"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str, value: float, said: str) -> None:
    dataset = fill(tmp_path, units=1)
    bad = make_episode(41, "reach")
    getattr(bad, name)[1, 1] = value
    with pytest.raises(UserError, match=f"behaviour 'reach', seed 41: {said}") as caught:
        dataset.append([make_episode(40), bad], "bad")
    assert "\n" not in str(caught.value)
    assert "bad" not in dataset and len(Dataset.open(tmp_path)) == 3


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    episode = make_episode(5)
    wide = dataclasses.replace(episode, obs=np.zeros((len(episode) + 1, OBS + 1), np.float32))
    with pytest.raises(UserError, match="obs has 5 columns, the dataset needs 4"):
        dataset.append([wide], "wide")
    with pytest.raises(UserError, match="no episodes"):
        dataset.append([], "none")
    with pytest.raises(UserError, match="no behaviour"):
        dataset.append([dataclasses.replace(episode, behaviour="")], "untagged")


def test_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in ((tmp_path / "none", "no dataset at"), (tmp_path, "no dataset.json")):
        with pytest.raises(UserError, match=said):
            Dataset.open(path)
    with pytest.raises(UserError, match="not a dataset"):
        Dataset.open(tmp_path / "file")
    with pytest.raises(UserError, match="cannot write"):
        Dataset.create(tmp_path / "file", HEADER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "format version 2, this program reads version 1"),
        ({"format": "other"}, "not a dataset"),
        ({"observation_size": 9}, "damaged"),
        ({"observation": [{"name": "x"}]}, "damaged"),
        ({"state_size": None}, "damaged"),
    ],
)
def test_another_header_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    fill(tmp_path, units=1)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=said):
        Dataset.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"format": "mbtr', b"\xff\xfe", b"[]"])
def test_a_torn_header_is_one_line(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path, units=1)
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged|not a dataset") as caught:
        Dataset.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_there_is_not_overwritten_by_another_environment(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    with pytest.raises(UserError, match="dataset already"):
        Dataset.create(tmp_path, HEADER)
    renamed = (dataclasses.replace(HEADER.observation[0], name="lever"), *HEADER.observation[1:])
    for changed, said in (
        ({"env": "walker"}, "environment 'kitchen', not 'walker'"),
        ({"observation": renamed}, "observation column 0 as 'joint_0'"),
        ({"action": HEADER.action[:1]}, "2 action columns, not 1"),
        ({"state_size": 4}, "3 state values, not 4"),
        ({"control_dt": 0.05}, "control steps of 0.1 s, not 0.05 s"),
    ):
        with pytest.raises(UserError, match=said):
            Dataset.open_or_create(tmp_path, dataclasses.replace(HEADER, **changed))
    assert len(Dataset.open_or_create(tmp_path, HEADER)) == 3


def test_an_empty_dataset(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    assert len(dataset) == 0 and not list(dataset.episodes()) and dataset.info()["steps"] == 0
    with pytest.raises(UserError, match="holds no episodes"):
        dataset.transitions()
    with pytest.raises(UserError, match="too few to split"):
        dataset.split()


def test_a_full_disk_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = fill(tmp_path, units=2)
    before = sorted(tmp_path.rglob("*"))

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UserError, match="No space left"):
            dataset.append(make_batch(2), "babble-000002")
    assert sorted(tmp_path.rglob("*")) == before
    assert "babble-000002" not in dataset and dataset.append(make_batch(2), "babble-000002")


def test_an_unwritable_folder_is_said_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, units=1)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot write to"):
        Dataset.open_or_create(tmp_path, HEADER)


# Choosing


def test_split_is_by_whole_episodes_and_stays_as_data_is_added(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=20)
    sides: dict[tuple[str, int], bool] = {}
    for _ in range(2):
        train, valid = dataset.split(0.25, seed=3)
        assert len(train) + len(valid) == len(dataset) and 0.1 < len(valid) / len(dataset) < 0.4
        assert len(train.transitions()) + len(valid.transitions()) == dataset.steps
        now = {(r.key, r.index): False for r in train.records} | {
            (r.key, r.index): True for r in valid.records
        }
        assert now.items() >= sides.items()
        sides = now
        for unit in range(20, 40):
            dataset.append(make_batch(unit), f"adapt-{unit:06d}")  # sorts before what was there
    again = Dataset.open(tmp_path).split(0.25, seed=3)[1].records
    assert again == dataset.split(0.25, seed=3)[1].records != dataset.split(0.25, seed=4)[1].records


def test_split_of_few_leaves_neither_side_empty(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    for seed in range(20):
        for fraction in (0.01, 0.5, 0.99):
            train, valid = dataset.split(fraction, seed)
            assert len(train) and len(valid)
    assert [len(side) for side in dataset.split(0.0)] == [3, 0]
    with pytest.raises(UserError, match="fraction"):
        dataset.split(1.0)


def test_where_chooses_by_record(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    chosen = dataset.where(lambda record: record.terminated)
    assert len(chosen) == 6
    wanted = [episode for episode in dataset.episodes() if episode.terminated]
    for found, episode in zip(chosen.episodes(), wanted, strict=True):
        assert_same(found, episode)
    np.testing.assert_array_equal(chosen.transitions().obs, np.concatenate([e.obs[:-1] for e in wanted]))


def test_info_counts_and_covers(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    obs = np.zeros((201, OBS), np.float32)
    obs[:, 0] = np.linspace(-1, 1, 201)
    obs[:, 1] = -0.99
    obs[3, 2] = 5.0
    episode = Episode(obs, np.zeros((200, ACT), np.float32), np.zeros((201, STATE)), "sweep", 0, False, True)
    dataset.append([episode, make_episode(1)], "unit")
    info = Dataset.open(tmp_path).where(lambda record: record.behaviour == "sweep").info()
    assert info["episodes"] == 1 and info["behaviours"] == {"sweep": {"episodes": 1, "steps": 200}}
    columns = info["observation"]
    assert columns["joint_0"]["coverage"] == 1.0 and columns["joint_1"]["coverage"] == 0.05
    assert (
        columns["joint_2"]["max"] == 5.0 and columns["joint_2"]["coverage"] == 0.05
    )  # the middle; 5 rad lies outside
    assert columns["force"]["coverage"] is None and columns["force"]["low"] is None
    whole = dataset.info()
    assert whole["episodes"] == 2 and whole["shards"] == 1 and set(whole["behaviours"]) == {"sweep", "babble"}
    json.dumps(whole, allow_nan=False)


# Rewards, which not every dataset has

BEFORE_REWARDS = "4e5ba66718efe76e6dd03bab108ecb6730eaeab0309bbcabac1562ed3735f660"


def paid(episode: Episode) -> Episode:
    rewards = np.random.default_rng(episode.seed).standard_normal(len(episode))
    return dataclasses.replace(episode, rewards=rewards)


def test_rewards_come_back_beside_episodes_without(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    with_rewards = [paid(episode) for episode in make_batch(1)]
    dataset.append(with_rewards, "paid")
    for found, wanted in zip(Dataset.open(tmp_path).episodes(), [*make_batch(0), *with_rewards], strict=True):
        if wanted.rewards is None:
            assert found.rewards is None
        assert_same(found, wanted)
    assert len(dataset.transitions()) == dataset.steps == dataset.info()["steps"]


def test_shards_without_rewards_are_written_as_ever(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    digest = hashlib.sha256(shard_files(tmp_path)[0].read_bytes()).hexdigest()
    assert digest == BEFORE_REWARDS, "files of older versions and of this one must be the same"


def test_rewards_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    dataset, episode = Dataset.create(tmp_path, HEADER), make_episode(1)
    for rewards, said in (
        (np.zeros(len(episode) + 1), "rewards has shape"),
        (np.zeros((len(episode), 1)), "rewards has shape"),
        (np.zeros(len(episode), np.float32), "rewards is float32"),
    ):
        with pytest.raises(UserError, match=said):
            dataclasses.replace(episode, rewards=rewards)
    with pytest.raises(UserError, match="rewards is NaN at step 0"):
        dataset.append([dataclasses.replace(episode, rewards=np.full(len(episode), np.nan))], "bad")
    with pytest.raises(UserError, match="either all episodes have rewards or none"):
        dataset.append([episode, paid(episode)], "mixed")
    assert not len(dataset)
