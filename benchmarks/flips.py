"""Is any changed byte taken for what was written? `python -m benchmarks.flips [--count 20000]`.

Every kind of file that the commands write for themselves is changed at random: one to four bits flipped, the end cut
off, or a piece replaced, in every region of the file. It must then be refused in one line, left out with a warning, or
read as exactly what was written (a space between two words of JSON, for example). Anything else is a silent difference.
"""

import argparse
import contextlib
import hashlib
import io
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from mbtransfer.cli.main import main as command
from mbtransfer.data import Dataset
from mbtransfer.errors import USER_ERRORS
from mbtransfer.evaluation.results_store import (
    UnfinishedRowsWarning,
    read_results,
    read_settings,
    settings_path,
)
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.stages import Stages
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sweep.trial import Trial, read_trials
from mbtransfer.training.policy import load_prepared, prepare
from tasks.registry import make
from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.training.state import TrainingProgress, load_state, save_state

Read = Callable[[Path], object]
"""What a folder holds, for comparing; an error, or None, where it is refused."""


def kinds(home: Path) -> dict[str, tuple[str, Read]]:
    """Folder or file and reader of every kind: which files are changed, as a pattern below its folder."""
    data, model, rows = home / "data", home / "model", home / "rows" / "rows.csv"
    with contextlib.redirect_stdout(io.StringIO()):
        for line in (
            f"collect --out {data} --steps 200 --episode-steps 20 --workers 1",
            f"fit --data {data} --out {model} --epochs 1 --hidden 8 --members 2",
            f"evaluate --model {model} --tasks drawer_open --episodes 3 --candidates 2 --horizon 1 --workers 1 "
            f"--rows {rows}",
        ):
            assert command(line.split()) == 0
    kitchen, fitted = make("kitchen"), Model.load(model, device="cpu")
    bounds = action_bounds(kitchen.spec)
    prepare(fitted, kitchen.task("drawer_open"), 60.0, updates=1, labels=100).save(home / "ready")
    settings, quiet = {"seed": 1, "names": ["a", "b"]}, Terminal(quiet=True)
    Stages(home / "stages", settings, quiet).do("fit", "fit", lambda: {"error": 0.25, "model": "abc"})
    (home / "sweep" / "trial-0000").mkdir(parents=True)
    Trial(0, {"rate": 0.1}, "finished", 0.5, 3.0, figures={"success": 0.5}).save(
        home / "sweep" / "trial-0000"
    )
    dynamics = EnsembleDynamics(
        fitted.dynamics.layout, EnsembleConfig(2, "dense", 8), torch.Generator().manual_seed(0)
    )
    optimiser = torch.optim.AdamW(dynamics.parameters())
    (home / "state").mkdir()
    save_state(
        home / "state" / "state.safetensors", "abc", dynamics, optimiser, TrainingProgress.start(dynamics)
    )

    def state(folder: Path) -> object:
        progress = load_state(folder / "state.safetensors", "abc", dynamics, optimiser)
        return progress and (
            digest(progress.best),
            progress.best_loss.tolist(),
            progress.steps,
            progress.history,
        )

    return {
        "data": ("**/*", _data),
        "model": ("*", _model),
        "ready": ("**/*", lambda folder: _prepared(load_prepared(folder, "drawer_open", fitted.digest, bounds))),
        "rows": ("*", lambda folder: _rows(folder / rows.name)),
        "stages": ("*", lambda folder: Stages(folder, settings, quiet).do("fit", "fit", lambda: None)),
        "sweep": ("**/*", read_trials),
        "state": ("*", state),
    }  # fmt: skip


def _data(folder: Path) -> object:
    dataset = Dataset.open(folder)
    if dataset.damaged:
        return None  # left out, with a warning
    whole = hashlib.sha256()
    for episode in dataset.episodes():
        whole.update(b"".join(x.tobytes() for x in (episode.obs, episode.actions, episode.state)))
        whole.update(repr((episode.behaviour, episode.seed, episode.terminated, episode.truncated)).encode())
    return dataset.header, dataset.digest, whole.hexdigest()


def _model(folder: Path) -> object:
    model = Model.load(folder, device="cpu")
    pool = {name: value for name, value in vars(model.pool).items() if value is not None}
    return (
        model.digest,
        digest(pool),
        repr(model.notes),
        dict(model.coverage.moves),
        model.environment.spec.name,
    )


def _rows(path: Path) -> object:
    try:
        return read_results(path).to_csv(), read_settings(settings_path(path))
    except UnfinishedRowsWarning:
        return None  # told


def _prepared(ready: object) -> object:
    parts = vars(ready)
    tensors = {
        f"{part} {name}": x for part in ("actor", "critic") for name, x in parts[part].state_dict().items()
    }
    return digest(tensors), parts["span"], parts["discount"], repr(parts["notes"])


def changed(content: bytes, rng: random.Random) -> bytes:
    """The content with bits flipped, a piece replaced, or its end cut off; never the content itself."""
    data = bytearray(content)
    kind = rng.randrange(3)
    if kind == 0:
        for at in rng.sample(range(len(data)), min(len(data), rng.randint(1, 4))):
            data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[rng.randrange(len(data)) :]
    else:
        at = rng.randrange(len(data))
        piece = data[at : at + rng.randint(1, 64)]
        data[at : at + len(piece)] = rng.choice(
            (bytes(len(piece)), rng.randbytes(len(piece)), bytes(reversed(piece)))
        )
    return bytes(data) if data != content else changed(content, rng)


def outcome(read: Read, folder: Path, expected: object) -> str:
    """`refused`, `the same`, or what went wrong."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", UnfinishedRowsWarning)
            found = read(folder)
    except (*USER_ERRORS, OSError) as error:
        return "refused" if len(str(error).splitlines()) <= 1 else f"several lines: {str(error)[:200]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "refused" if found is None else "the same" if found == expected else "NULL_TRACKER DIFFERENCE"


def count(home: Path, total: int, seed: int, console: Terminal) -> Counter[str]:
    """What went wrong, and how often, in so many changes over all kinds."""
    every, wrong = kinds(home), Counter[str]()
    for index, (name, (pattern, read)) in enumerate(every.items()):
        rng, counts = random.Random(f"{seed} {name}"), Counter[str]()
        share = total // len(every) + (index < total % len(every))
        folder = home / name
        victims = sorted(path for path in folder.glob(pattern) if path.is_file())
        expected = read(folder)
        with progress_bar(console, name, share, "changes") as advance:
            for number in range(share):
                victim = victims[number % len(victims)]
                content = victim.read_bytes()
                victim.write_bytes(changed(content, rng))
                told = outcome(read, folder, expected)
                victim.write_bytes(content)
                counts[told] += 1
                if told not in ("refused", "the same"):
                    wrong[f"{victim.relative_to(home)}: {told}"] += 1
                advance(1)
        told = f"{name}: {share} changes of {len(victims)} files"
        console.print(f"{told}, {counts['refused']} refused, {counts['the same']} read as written")
    return wrong


def main() -> int:
    """Change, read, count; 0 if nothing was accepted that was not written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flips", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="changes in all (20000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is changed (0)")
    asked, console = parser.parse_args(), Terminal()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        wrong = count(Path(folder), asked.count, asked.seed, console)
    for what, times in wrong.most_common():
        console.print(f"{times} times {what}", style="red")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
