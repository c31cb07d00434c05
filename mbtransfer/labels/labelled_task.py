"""Tasks that are known by labelled transitions alone."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.labels.label_file import read_labels
from tasks.environment import Environment
from tasks.task import Task
from world_models.checkpoint.storage import digest
from world_models.layout import Layout
from world_models.rewards.head import Labels
from world_models.rewards.heads import LEAST, RewardHeads

SUFFIX = ".csv"
"""How the name of a label file ends, which tells it from the name of a task."""


@dataclass(frozen=True)
class LabelledTask(Task):
    """A task whose reward and success are those of a head that is fitted on its labels when it is first needed.

    Attributes:
        digest: tells tasks of one name apart.
        labels: the labelled transitions, on the CPU.
        layout: of the environment.
    """

    digest: str
    labels: Labels = field(repr=False, compare=False)
    layout: Layout = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, labels: Labels, layout: Layout) -> "LabelledTask":
        """The task of that name that these labels describe; the layout is the model's (`model.dynamics.layout`)."""
        here = {key: part.cpu() for key, part in vars(labels).items()}
        text = f"known by {len(labels.reward):,} labels; success is judged by the reward head; there is no function"
        return cls(name, text, "user", digest(here)[:16], Labels(**here), layout)

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """What the head predicts."""
        return self._heads.reward(obs.cpu(), action.cpu(), next_obs.cpu())[..., 0].to(obs.device)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Whether the head holds success for more likely than not."""
        return (self._heads.success(obs.cpu())[..., 0] > 0.5).to(obs.device)

    @cached_property
    def _heads(self) -> RewardHeads:
        heads = RewardHeads(self.layout)
        heads.add(self.name, self.labels)
        return heads


def load_labelled_task(path: Path, environment: Environment, layout: Layout) -> LabelledTask:
    """The task that a label file describes, named after the file; rows without a label are left out.

    Raises:
        UserError: the file is not a label file of this environment (see `read_labels`), has fewer than 10 labels, or
            is named like a task that there is.
    """
    if path.stem in environment.tasks:
        raise UserError(f"{path}: {environment.spec.name} has a task {path.stem!r} already; rename the file")
    table = read_labels(path, environment.spec)
    labels = table.labels
    if (n := len(labels.reward)) < LEAST:
        missing = f", and {len(table) - n} rows without a reward" if len(table) > n else ""
        raise UserError(f"{path}: a task needs at least {LEAST} labels; there are {n}{missing}")
    return LabelledTask.of(path.stem, labels, layout)
