"""Runner of a protocol: its stages per group of tasks and per seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

from mbtransfer import __version__
from mbtransfer.cli.commands.collect import run_collect
from mbtransfer.cli.commands.dataset import run_strip
from mbtransfer.cli.commands.evaluate import run_evaluate
from mbtransfer.cli.commands.fit import run_fit
from mbtransfer.cli.commands.prepare import run_prepare
from mbtransfer.config import DatasetStripConfig
from mbtransfer.data import Dataset
from mbtransfer.protocols.protocol import Protocol, configured, needs_model, plans, uses_prepared
from mbtransfer.runtime.stages import Stages
from mbtransfer.runtime.terminal import Terminal
from tasks.registry import make

LATER_SEED = 1_000
"""Evaluation uses seeds from here on, so that no episode is like one that was collected."""

ROUNDS = 100
"""Seeds of the rounds of one seed are so far apart."""

COMMON = "common-data"
"""Folder beside the pools for what all of them hold."""


class ProtocolStage(NamedTuple):
    """A piece of work, its name and what to say of it."""

    name: str
    title: str
    work: partial[Any]


class Fold(NamedTuple):
    """One pool of a protocol.

    Attributes:
        protocol: what is run.
        out: folder of the pool, its models and rows.
        seed: of data, models and episodes.
        workers: processes that collect and evaluate.
        console: where to say what is going on.
        tracking: the tracker's flags, for every stage.
        held_out: tasks that no data are collected for; empty where the protocol has no folds.
    """

    protocol: Protocol
    out: Path
    seed: int
    workers: int
    console: Terminal
    tracking: Mapping[str, Any]
    held_out: tuple[str, ...] = ()

    def stages(self) -> Iterator[ProtocolStage]:
        """All stages, in order."""
        for number in range(len(self.protocol.rounds)):
            yield from self._round(number)
        yield from self._measured(self.out / "model", "", self.protocol.evaluate)
        if self.protocol.stripped:
            data, model = self.out / "stripped-data", self.out / "stripped-model"
            strip = DatasetStripConfig(dir=self.out / "data", out=data, tasks=self._tasks())
            yield ProtocolStage("strip", "strip the pool", partial(run_strip, strip))
            yield self._fit("strip-fit", "fit to the stripped pool", data, model, self.protocol.fit)
            yield from self._measured(model, "-stripped", self.protocol.stripped)

    def _tasks(self) -> tuple[str, ...]:
        return self.held_out or self.protocol.tasks

    def _round(self, number: int) -> Iterator[ProtocolStage]:
        """Data, and a model where the next round needs one or there is no next round."""
        rounds = self.protocol.rounds
        own, last, data = rounds[number], number == len(rounds) - 1, self.out / "data"
        home = self.out.parent / COMMON if self._common(number) else data
        given: dict[str, Any] = {"out": home, "env": self.protocol.env, "workers": self.workers}
        given |= {"seed": self.seed + ROUNDS * number, **self.tracking}
        if needs_model(own):
            given["model"] = self.out / f"round-{number - 1}"
        if self.held_out and plans(own):
            given["tasks"] = self._sources()
        collect = configured("collect", given, own)
        name = f"collect-{number}" if home == data else f"collect-{number}-common"
        yield ProtocolStage(name, f"collect, round {number + 1}", partial(run_collect, collect))
        if home != data:
            yield ProtocolStage(f"collect-{number}-copy", "copy it into the pool", partial(_copy, home, data))
        title = f"fit after round {number + 1}"
        if last:
            yield self._fit(f"fit-{number}", title, data, self.out / "model", self.protocol.fit)
        elif needs_model(rounds[number + 1]):
            model = self.out / f"round-{number}"
            yield self._fit(f"fit-{number}", title, data, model, self.protocol.between)
            if self.protocol.ready and uses_prepared(rounds[number + 1]):
                title = f"prepare after round {number + 1}"
                yield self._prepare(f"prepare-{number}", title, {"model": model}, self.protocol.ready)

    def _common(self, number: int) -> bool:
        """Whether this round and all before it are the same for every group that is held out."""
        begun = self.protocol.rounds[: number + 1]
        return bool(self.held_out) and not any(plans(one) or needs_model(one) for one in begun)

    def _sources(self) -> tuple[str, ...]:
        """All source tasks but those held out."""
        known = make(self.protocol.env).tasks.items()
        return tuple(name for name, task in known if task.split == "source" and name not in self.held_out)

    def _fit(self, name: str, title: str, data: Path, out: Path, own: Mapping[str, Any]) -> ProtocolStage:
        fit = configured(
            "fit", {"data": data, "out": out, "seed": self.seed, "threads": 1}, self.tracking, own
        )
        return ProtocolStage(name, title, partial(run_fit, fit))

    def _prepare(
        self, name: str, title: str, given: Mapping[str, Any], own: Mapping[str, Any]
    ) -> ProtocolStage:
        prepare = configured("prepare", {"seed": self.seed, "threads": 1}, given, self.tracking, own)
        return ProtocolStage(name, title, partial(run_prepare, prepare, self.console))

    def _measured(
        self, model: Path, mark: str, ways: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[ProtocolStage]:
        common = {"model": model, "tasks": self._tasks(), "threads": 1}
        if self.protocol.prepare:
            yield self._prepare(f"prepare{mark}", "prepare", common, self.protocol.prepare)
        for way, own in ways.items():
            rows = {"rows": self.out / "rows" / f"{way}.csv", "json": self.out / "rows" / f"{way}.json"}
            given = {"env": self.protocol.env, "seeds": (LATER_SEED + self.seed,), "workers": self.workers}
            given["recipes"] = self.protocol.recipes
            evaluate = configured("evaluate", common, given | rows, self.tracking, own)
            yield ProtocolStage(
                f"evaluate-{way}", f"evaluate: {way}", partial(run_evaluate, evaluate, self.console)
            )


def _copy(data: Path, into: Path) -> None:
    copytree(data, into, dirs_exist_ok=True)


@dataclass(frozen=True)
class Found:
    """What one pool came to.

    Attributes:
        rows: folder of the rows, a file for each way.
        steps: control steps of the pool.
        seconds: of each kind of stage.
    """

    rows: Path
    steps: int
    seconds: Mapping[str, float]


def run_seed(
    protocol: Protocol, out: Path, seed: int, workers: int, console: Terminal, tracking: Mapping[str, Any]
) -> list[Found]:
    """Collect, fit, prepare, evaluate, for every fold; what is there from before is not done again.

    Raises:
        UserError: the folder holds results of another protocol, or a setting is wrong.
    """
    if not protocol.folds:
        return [_run(Fold(protocol, out, seed, workers, console, tracking), console)]
    found = []
    for number, held_out in enumerate(protocol.folds):
        console.rule(f"held out: {', '.join(held_out)}")
        fold = Fold(protocol, out / f"fold-{number}", seed, workers, console, tracking, held_out)
        found.append(_run(fold, console))
    return found


def _run(fold: Fold, console: Terminal) -> Found:
    settings = {"version": __version__, "seed": fold.seed, "protocol": fold.protocol.basis}
    stages = Stages(fold.out / "stages", settings | {"held_out": fold.held_out}, console)
    for name, title, work in fold.stages():
        stages.do(name, title, work)
    return Found(fold.out / "rows", Dataset.open(fold.out / "data").steps, _by_kind(stages.seconds))


def _by_kind(seconds: Mapping[str, float]) -> dict[str, float]:
    kinds: dict[str, float] = {}
    for stage, time in seconds.items():
        kind = stage.partition("-")[0]
        kinds[kind] = kinds.get(kind, 0.0) + time
    return kinds
