"""Weights & Biases backend, online or offline."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import wandb
from wandb.errors import UsageError

from mbtransfer.tracking.tracker import figures
from world_models.checkpoint.atomic import listed

INIT_SECONDS = 10.0
"""How long a server may take to answer, before the run is kept offline."""

Mode = Literal["online", "offline"]

UPLOAD_BYTES = 64 * 2**20
"""Larger folders are referred to, not uploaded."""

NOT_OURS = ("tracking.json", "training.safetensors", "tensorboard")
"""What lies in a folder, but is not of the dataset or model."""


class WandbSink:
    """One run of W&B; see `mbtransfer.tracking.server.Sink`.

    Args:
        begin: `mode`, `project`, `group`, `name`, `id`, `command`, `config`, `pid`.
        say: shows one line to the user.
    """

    def __init__(self, begin: Mapping[str, Any], say: Callable[[str], None]) -> None:
        mode: Mode = "offline" if begin["mode"] == "offline" else "online"
        try:
            self._run = _begin(begin, mode)
        except (wandb.Error, OSError) as error:
            if mode != "online":
                raise
            why = "not logged in to W&B" if isinstance(error, UsageError) else "W&B does not answer"
            wandb.teardown()  # else W&B says that the run's id is in use
            self._run = _begin(begin, "offline")
            say(f"{why}; the run is kept offline: wandb sync {Path(self._run.dir).parent}")
        self._curves: set[str] = set()

    def log(self, values: dict[str, float], axis: str, at: int) -> None:
        """Curves over their own axis, not over the number of calls."""
        for name in values.keys() - self._curves:
            self._run.define_metric(axis, hidden=True)
            self._run.define_metric(name, step_metric=axis)
            self._curves.add(name)
        self._run.log({**values, axis: at})

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """A table that can be sorted and filtered."""
        columns = list(rows[0]) if rows else []
        data = [[row.get(column) for column in columns] for row in rows]
        self._run.log({name: wandb.Table(columns=[*columns], data=data, allow_mixed_types=True)})

    def summary(self, found: dict[str, Any]) -> None:
        """Every number under its path, as in the JSON file."""
        self._run.summary.update(figures(found))

    def artifact(self, kind: str, path: str, digest: str, made: bool) -> None:
        """A version of its own for each digest: what one run makes and another uses is the same version."""
        artifact = wandb.Artifact(_name(Path(path)), type=kind, metadata={"path": path, "digest": digest})
        with artifact.new_file("digest.txt") as file:
            file.write(f"{digest}\n")
        _fill(artifact, Path(path).resolve())
        aliases = ["latest", digest[:12]]
        if made:
            self._run.log_artifact(artifact, aliases=aliases)
        elif self._run.offline:  # use_artifact() asks the server; this is what it does after that
            self._run._log_artifact(artifact, aliases=aliases, is_user_created=True, use_after_commit=True)
        else:
            self._run.use_artifact(artifact, aliases=aliases)

    def film(self, name: str, path: str) -> None:
        """A film that plays in the browser."""
        self._run.log({name: wandb.Video(path, format="mp4")})

    def finish(self, exit_code: int) -> None:
        """Send what is left."""
        self._run.finish(exit_code=exit_code)


def _begin(begin: Mapping[str, Any], mode: Mode) -> wandb.Run:
    settings = wandb.Settings(
        console="off", silent=True, init_timeout=INIT_SECONDS, program=f"mbtransfer {begin['command']}",
        x_stats_pid=begin["pid"],
    )  # fmt: skip
    asked = {name: begin[name] for name in ("project", "group", "name", "id", "config")}
    return wandb.init(**asked, job_type=begin["command"], mode=mode, resume="allow", settings=settings)


def _fill(artifact: wandb.Artifact, path: Path) -> None:
    files = list(_files(path))
    if sum(file.stat().st_size for file in files) > UPLOAD_BYTES:
        artifact.add_reference(path.as_uri(), name=path.name, checksum=False)
        return
    for file in files:
        name = file.name if file == path else str(file.relative_to(path))
        artifact.add_file(str(file), name=name, skip_cache=True)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in listed(path, "**/*"):
        if file.is_file() and file.relative_to(path).parts[0] not in NOT_OURS:
            yield file


def _name(path: Path) -> str:
    """The path as W&B writes names, relative to here if it lies here."""
    shown = (
        os.path.relpath(path.resolve()) if path.resolve().is_relative_to(Path.cwd()) else str(path.resolve())
    )
    return re.sub(r"[^\w.-]+", "-", shown).strip("-.") or "data"
