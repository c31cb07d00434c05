"""Training state on disk, from which a killed run resumes."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.checkpoint.storage import load_tensors, save_tensors
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch; losses are means over the members, in normalised changes."""

    epoch: int
    """Epochs finished, from 1."""
    epochs: int
    """Epochs asked for."""
    train_loss: float
    """Over the steps of this epoch."""
    valid_loss: float
    """On held-out episodes."""
    rollout_error: float | None
    """At the planning horizon, as a share of the error of "nothing moves"; None without held-out segments."""
    seconds: float
    """Since training began, over all its runs."""


@dataclass
class TrainingProgress:
    """How far a training has come.

    Attributes:
        best: the parameters of each member at its best epoch.
        best_loss: by what it was judged then, see `TrainingConfig.choose`.
        steps: updates done.
        seconds: time taken, over all runs.
        stale: epochs in a row in which no member got better, counted while the rate falls.
        ended: nothing is left to do.
        history: a report of each finished epoch.
    """

    best: dict[str, Tensor]
    best_loss: Float[Tensor, " E"]
    steps: int = 0
    seconds: float = 0.0
    stale: int = 0
    ended: bool = False
    history: list[EpochReport] = field(default_factory=list)

    @classmethod
    def start(cls, dynamics: EnsembleDynamics) -> "TrainingProgress":
        """Nothing done yet."""
        loss = dynamics.normalizer.change.new_full((dynamics.config.members,), torch.inf)
        return cls({name: value.detach().clone() for name, value in dynamics.named_parameters()}, loss)

    def keep_better(self, dynamics: EnsembleDynamics, loss: Float[Tensor, " E"]) -> bool:
        """Keep the parameters of the members that got better; whether any did."""
        better = loss < self.best_loss
        self.best_loss = torch.where(better, loss, self.best_loss)
        for name, value in dynamics.named_parameters():
            kept, new = (x.unflatten(0, (len(loss), -1)) for x in (self.best[name], value.detach()))
            kept[better] = new[better]
        return bool(better.any())

    @torch.no_grad()
    def restore_best(self, dynamics: EnsembleDynamics) -> None:
        """Give each member the parameters of its best epoch."""
        for name, value in dynamics.named_parameters():
            value.copy_(self.best[name])


def save_state(
    path: Path,
    fingerprint: str,
    dynamics: EnsembleDynamics,
    optimiser: torch.optim.Optimizer,
    progress: TrainingProgress,
) -> None:
    """Write all that the next epoch depends on, in one file and one step.

    Raises:
        ModelError: the file cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in dynamics.state_dict().items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{name}": value for name, value in moments.items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    tensors["best_loss"] = progress.best_loss
    numbers = {key: getattr(progress, key) for key in ("steps", "seconds", "stale", "ended")}
    history = [asdict(report) for report in progress.history]
    save_tensors(path, tensors, {"fingerprint": fingerprint, "history": history, **numbers})


def load_state(
    path: Path, fingerprint: str, dynamics: EnsembleDynamics, optimiser: torch.optim.Optimizer
) -> TrainingProgress | None:
    """Put model and optimiser where `save_state` left them.

    None, with nothing changed, when there is no file, it is damaged, or it is of another training: starting
    over then gives the same model, only later.
    """
    try:
        tensors, about = load_tensors(path)
    except ModelError:
        return None
    if about.get("fingerprint") != fingerprint:
        return None
    device = dynamics.normalizer.change.device
    dynamics.load_state_dict(_under("model.", tensors, device))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("adam.", tensors, device).items():
        number, _, key = name.partition(".")
        moments.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return _progress(about, _under("best.", tensors, device), tensors["best_loss"].to(device))


def _under(prefix: str, tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): x.to(device) for key, x in tensors.items() if key.startswith(prefix)}


def _progress(about: dict[str, Any], best: dict[str, Tensor], best_loss: Tensor) -> TrainingProgress:
    history = [EpochReport(**report) for report in about["history"]]
    numbers = {key: about[key] for key in ("steps", "seconds", "stale", "ended")}
    return TrainingProgress(best, best_loss, history=history, **numbers)
