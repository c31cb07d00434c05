"""Is every spoilt input answered by one line? `python -m benchmarks.malformed [--count 10000]`.

Recipes, protocols, sweeps, rows, datasets, imports, models, what was prepared, and command lines, each spoilt at
random (bits flipped, ends cut off, numbers made huge or NaN, names made hostile). What the command line would answer
with a traceback, with more than one line or with exit code 1 is a failure. Some inputs are still right after the
change (a word in a description), and a dataset leaves damaged shards out and says so: these are read.
"""

import argparse
import contextlib
import io
import random
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mbtransfer.cli.main import main as command
from mbtransfer.cli.parser import parse
from mbtransfer.config import COMMANDS
from mbtransfer.data import Dataset
from mbtransfer.data.formats import find_source, take_in
from mbtransfer.errors import USER_ERRORS
from mbtransfer.evaluation.results import read_rows
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.protocols import read_protocol, shipped_protocols
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sweep.config import read_sweep_file
from mbtransfer.training.policy import load_prepared, prepare
from tasks.recipe import load_recipe
from tasks.registry import make

WORDS = (
    b"nan", b"inf", b"-1", b"1e999", b"9" * 400, b"null", b"[]", b"{}", b"'", b"!!python/object:os.system", b"../../x",
    b"\x00", b"\xff\xfe", "\u202e".encode(), b"*a", b"&a [*a]", b"%TAG", b"\t", b": :", b"<script>",
)  # fmt: skip

Try = Callable[[random.Random], object]


def spoilt(content: bytes, rng: random.Random) -> bytes:
    """The content with a few things wrong with it."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.choice(WORDS)
        elif kind == 3:
            data[at : at + rng.randint(1, 20)] = rng.choice(WORDS)
        else:
            data[at : at + rng.randint(1, 40)] = data[: rng.randint(0, 40)]
    return bytes(data)


def spoil_one(folder: Path, into: Path, rng: random.Random) -> Path:
    """A copy of a folder, or of a file, with one of its files spoilt."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    copy = into / folder.name
    shutil.copytree(folder, copy) if folder.is_dir() else shutil.copy(folder, copy)
    victim = rng.choice([path for path in copy.rglob("*") if path.is_file()]) if copy.is_dir() else copy
    victim.write_bytes(spoilt(victim.read_bytes(), rng))
    return copy


def kinds(home: Path) -> dict[str, Try]:
    """Every kind of input, and how it is read."""
    kitchen, into = make("kitchen"), home / "spoilt"
    with contextlib.redirect_stdout(io.StringIO()):
        collect = f"collect --out {home}/data --steps 400 --episode-steps 20 --workers 1"
        assert command(collect.split()) == 0
        assert (
            command(f"fit --data {home}/data --out {home}/model --epochs 1 --hidden 8 --members 2".split())
            == 0
        )
    model = Model.load(home / "model", device="cpu")
    bounds = action_bounds(kitchen.spec)
    prepare(model, kitchen.task("drawer_open"), 60.0, updates=1, labels=100).save(home / "ready")
    rows = home / "rows.csv"
    with contextlib.redirect_stdout(io.StringIO()):
        evaluate = (
            f"evaluate --model {home}/model --tasks drawer_open --episodes 2 --candidates 2 --rows {rows}"
        )
        assert command([*evaluate.split(), "--horizon", "1", "--workers", "1"]) == 0
    obs, actions = np.zeros((30, 3), np.float32), np.zeros((30, 2), np.float32)
    flags = np.arange(30) % 10 == 9
    np.savez(home / "d4rl.npz", observations=obs, actions=actions, rewards=np.zeros(30), terminals=flags)
    texts = {
        "recipe": (Path("examples/my_recipe.yaml"), lambda path: load_recipe(path, kitchen)),
        "protocol": (shipped_protocols()["franka"], lambda path: read_protocol(str(path))),
        "sweep": (Path("examples/sweeps/planner.yaml"), read_sweep_file),
        "rows": (rows, read_rows),
        "model": (home / "model", lambda path: Model.load(path, device="cpu")),
        "dataset": (home / "data", lambda path: len(Dataset.open(path).pool)),
        "prepared": (home / "ready", lambda path: load_prepared(path, "drawer_open", model.digest, bounds)),
        "import": (
            home / "d4rl.npz",
            lambda path: take_in(find_source(str(path)), into / "taken", control_dt=0.1),
        ),
    }

    def reading(path: Path, read: Callable[[Path], object]) -> Try:
        read(path)  # as it is, it is right
        return lambda rng: read(spoil_one(path, into, rng))

    found = {name: reading(path, read) for name, (path, read) in texts.items()}
    return found | {"command line": lambda rng: parse(_line(rng))}


def _line(rng: random.Random) -> list[str]:
    """A command line that somebody may have got wrong."""
    name = rng.choice(list(COMMANDS))
    flags = [
        "--steps",
        "--out",
        "--seed",
        "--seeds",
        "--model",
        "--tasks",
        "--planner",
        "--nonsense",
        "-x",
        "--data",
    ]
    values = [
        "",
        "-1",
        "nan",
        "1e999",
        "kitchen",
        "../x",
        "\x00",
        "x" * 5000,
        "1.5",
        "--",
        "[red]",
        "=",
        "seed=1",
    ]
    rest = [rng.choice(flags if rng.random() < 0.5 else values) for _ in range(rng.randint(1, 5))]
    return [*name.split(), *(part for part in rest if part not in ("-h", "--help"))]


def answer(attempt: Try, rng: random.Random) -> str:
    """`read` or `refused`; else what went wrong."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            attempt(rng)
    except (*USER_ERRORS, OSError) as error:
        return "refused" if len(str(error).splitlines()) <= 1 else f"several lines: {str(error)[:300]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return "read"


def main() -> int:
    """Spoil, read, count; 0 if all was answered as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.malformed", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="inputs in all (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is spoilt (0)")
    asked, console, wrong = parser.parse_args(), Terminal(), Counter[str]()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        every = kinds(Path(folder))
        for index, (name, attempt) in enumerate(every.items()):
            share = asked.count // len(every) + (index < asked.count % len(every))
            counts, rng = Counter[str](), random.Random(f"{asked.seed} {name}")
            with progress_bar(console, name, share, "inputs") as advance:
                for _ in range(share):
                    counts[answer(attempt, rng)] += 1
                    advance(1)
            console.print(
                f"{name}: {share} inputs, {counts['refused']} refused, {counts['read']} read", highlight=False
            )
            wrong.update(
                {f"{name}: {what}": n for what, n in counts.items() if what not in ("read", "refused")}
            )
    for what, count in wrong.most_common():
        console.print(f"{count} times {what}", style="red", highlight=False, markup=False)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
