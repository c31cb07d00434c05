"""Results of a comparison on disk: one sealed file for each method, target, seed and number of practice episodes."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import plain, read_sealed, write_sealed
from mbtransfer.transfer.method import Costs
from mbtransfer.validation import validated

FOLDER = "runs"


@dataclass(frozen=True, kw_only=True)
class TransferRun:
    """How one method did in one target with one seed.

    Attributes:
        method: name of the method.
        target: name of the task.
        seed: seed of the method and of the episodes.
        settings: everything else that the run depends on.
        continuing: the task has a return and no success.
        practice: episodes of the target that the method could learn from before.
        without_practice: it takes none, so that the run stands for any number of them.
        success: share of success of each episode, 0 or 1; empty if it failed.
        returns: return of each episode.
        costs: what the solution cost.
        pretrain_seconds: time of pretraining, which all targets of the seed share.
        solve_seconds: time of solving this target.
        action_ms: median time of one action in one episode, milliseconds.
        failed: why there is no result; empty if there is one.
        elsewhere: success in other targets of what was learned for this one, if a transfer matrix was asked for.
        elsewhere_seconds: time that this took.
    """

    method: str
    target: str
    seed: int
    settings: Mapping[str, Any]
    continuing: bool = False
    practice: int = 0
    without_practice: bool = False
    success: tuple[float, ...] = ()
    returns: tuple[float, ...] = ()
    costs: Costs = field(default_factory=Costs)
    pretrain_seconds: float = 0.0
    solve_seconds: float = 0.0
    action_ms: float = 0.0
    failed: str = ""
    elsewhere: Mapping[str, float] = field(default_factory=dict)
    elsewhere_seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from all others: method, target, seed and practice."""
        return self.method, self.target, self.seed, self.practice

    @property
    def worth(self) -> tuple[float, ...]:
        """What each episode counts: its success, or its return where there is no success."""
        return self.returns if self.continuing else self.success

    def failed_by(self, error: Exception) -> "TransferRun":
        """The same run without a result, because of an error."""
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        return replace(self, failed=" ".join(f"{kind}{error}".split())[:300])


class RunStore:
    """The runs of a comparison in a folder.

    Args:
        folder: output folder of the comparison.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    @property
    def visible(self) -> bool:
        """The output folder is there; on another machine of a cluster it may not be."""
        return self.folder.parent.is_dir()

    def read(self, blank: TransferRun) -> TransferRun | None:
        """What `blank` came to; None if it was not run yet, or failed.

        Raises:
            UserError: it was made with other settings, or its file is damaged.
        """
        path = self._path(blank)
        content = read_sealed(path, "delete it and run the command again")
        if content is None:
            return None
        found, now = validated(TransferRun, content, about=f"{path}: "), plain(blank.settings)
        changed = [
            f"{k} was {old}, now is {now[k]}" for k, old in found.settings.items() if old != now.get(k)
        ]
        if changed:
            raise UserError(
                f"{path} was made with other settings ({'; '.join(changed)}); choose another --out"
            )
        return None if found.failed else found

    def write(self, run: TransferRun) -> None:
        """Write a run.

        Raises:
            UserError: the folder cannot be written.
        """
        write_sealed(self._path(run), asdict(run))

    def _path(self, run: TransferRun) -> Path:
        slug = re.sub(r"[^A-Za-z0-9_]+", "-", run.target).strip("-")[:60]
        practice = f"-practice{run.practice}" if run.practice else ""
        code = f"{zlib.crc32(run.target.encode()):08x}"
        return self.folder / f"{run.method}-{slug}-{code}-{run.seed}{practice}.json"
