"""Contexts: what a policy of many tasks is told about the one that it is in.

A contextual MDP is one MDP for each context, all with the same states and actions (Hallak et al. 2015, "Contextual
Markov decision processes", section 2). There are five kinds of context of a task:

- `one_hot`: its number among the source tasks.
- `embedding`: a vector for each source task, learned together with the policy.
- `metadata`: its description in words (Sodhani, Zhang and Pineau 2021, "Multi-task reinforcement learning with
  context-based representations", CARE, section 4). They read it by a pretrained language model; here it is a fixed bag
  of words (`encoded`).
- `label_vector`: where its best labels are (`mbtransfer.transfer.policy.distilled_policy.task_vector`).
- `object_goal`: what is moved, which kind of goal, and where to (`ObjectGoal`), by its labels.

The last three exist for tasks that were never seen. In place of the first two stands that of the source task with the
nearest label vector.
"""

import re
import zlib
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.policy.distilled_policy import task_vector
from mbtransfer.transfer.policy.goals import GoalSpace
from tasks.task import Task

COLUMNS = 1024
"""Columns that words are hashed to, and as many for numbers: so many that two words of one environment rarely meet."""

EMBEDDING = 16
"""Size of a learned context."""

_TOKEN = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?!\w)|([^\W_]+)")


def encoded(description: str) -> Float[Tensor, " D"]:
    """A description as words and numbers; it depends on nothing else, so that equal descriptions are encoded equally.

    Words are taken in lower case, and names are split at underscores: `left_knob` and `right_knob` share a word. Word w
    adds one in column crc32(w) mod `COLUMNS`: plain term frequencies, with the hashing trick of Weinberger et al. 2009,
    "Feature hashing for large scale multitask learning", section 2, without its signs.

    Numbers stay numbers, in the columns behind: number i among those of one unit, the word that follows them, is in
    column crc32("unit i") mod `COLUMNS`. Columns without a number are NaN.
    """
    counts, numbers = torch.zeros(COLUMNS), torch.full((COLUMNS,), torch.nan)
    waiting, seen = list[float](), dict[str, int]()

    def place(unit: str) -> None:
        for number in waiting:
            index = seen[unit] = seen.get(unit, -1) + 1
            numbers[_column(f"{unit} {index}")] = number
        waiting.clear()

    for number, word in _TOKEN.findall(description.lower()):
        if number:
            waiting.append(float(number))
        else:
            place(word)
            counts[_column(word)] += 1.0
    place("")
    return torch.cat([counts, numbers])


def _column(text: str) -> int:
    return zlib.crc32(text.encode()) % COLUMNS


class Contexts(ABC):
    """Contexts of one kind: of the source tasks, and of any target.

    Args:
        sources: what they are made of.

    Attributes:
        table: a row for each source task.
    """

    learned: ClassVar[bool] = False
    """Whether the table is only where learning begins."""

    reads_labels: ClassVar[bool] = True
    """Whether a target's context comes from its labels."""

    table: Float[Tensor, "K C"]

    @abstractmethod
    def __init__(self, sources: Sources) -> None: ...

    @abstractmethod
    def of(self, target: Task, table: Float[Tensor, "K C"]) -> Float[Tensor, " C"]:
        """The context of a target, given the table as it was learned."""


class OneHot(Contexts):
    """The number of the task, or of the nearest source task."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.table = torch.eye(len(sources.tasks), device=sources.model.device)

    def of(self, target: Task, table: Float[Tensor, "K C"]) -> Float[Tensor, " C"]:
        """See `Contexts.of`."""
        return table[nearest_source(self._sources, target)]


class Embedding(OneHot):
    """A vector that is learned, of the task or of the nearest source task."""

    learned = True

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        generator = torch.Generator().manual_seed(sources.seed)
        self.table = torch.randn(len(sources.tasks), EMBEDDING, generator=generator).to(self.table)


class Metadata(Contexts):
    """The words and numbers of the description.

    Columns in which the source tasks do not differ are left out, because nothing can be learned of them; the others
    are normalised over the source tasks. A number that a description lacks is taken as their mean.

    Raises:
        UserError: the descriptions of the source tasks do not differ, or one is known by labels alone.
    """

    reads_labels = False

    def __init__(self, sources: Sources) -> None:
        self._device = sources.model.device
        rows = torch.stack([encoded(_description(task)) for task in sources.tasks])
        self._known = (rows[:, :COLUMNS] > 0).any(dim=0)
        self._mean = rows.nanmean(dim=0)
        apart = (rows - self._mean).square().nanmean(dim=0).sqrt().nan_to_num(0.0)
        # in columns of words every source task has an entry, in those of numbers some may have none
        self._columns = (apart > 1e-6).nonzero()[:, 0]
        self._scale = apart[self._columns]
        if not len(self._columns):
            raise UserError(
                "the descriptions of the source tasks do not differ, and tell a policy nothing; "
                "use the context label_vector"
            )
        self.table = self._normalised(rows).to(self._device)

    def of(self, target: Task, table: Float[Tensor, "K C"]) -> Float[Tensor, " C"]:
        """See `Contexts.of`.

        Raises:
            UserError: the description shares no word with those of the source tasks, or there is none.
        """
        row = encoded(_description(target))
        if not bool((row[:COLUMNS] > 0)[self._known].any()):
            raise UserError(
                f"task {target.name!r}: its description {target.description!r} shares no word with those of the "
                "source tasks; use the context label_vector"
            )
        return self._normalised(row).to(self._device)

    def _normalised(self, rows: Float[Tensor, "*b D"]) -> Float[Tensor, "*b C"]:
        return ((rows - self._mean)[..., self._columns] / self._scale).nan_to_num(0.0)


class LabelVector(Contexts):
    """Where the best labels of the task are."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.table = torch.stack([task_vector(sources, task) for task in sources.tasks])

    def of(self, target: Task, table: Float[Tensor, "K C"]) -> Float[Tensor, " C"]:
        """See `Contexts.of`."""
        return task_vector(self._sources, target)


class ObjectGoal(Contexts):
    """What is moved, the kind of goal, and where to, each as far as labels show it (`GoalSpace.goal_of`).

    A column for each position that a source task moves, and one for each kind of goal, one of either is one: the
    kinds are the thirds of the range (low, middle, high) that source tasks move something to. The last column is the
    place, normalised as observations are. A target whose third no source task has takes the kind that is nearest. Of
    a target that moves several things, the one of which labels say the most counts.

    Attributes:
        positions: column of the observation of each position.
        kinds: mean place of each kind of goal, as a share of the range.

    Raises:
        UserError: a source task moves no object.
    """

    positions: Int[Tensor, " M"]
    kinds: Float[Tensor, " N"]

    def __init__(self, sources: Sources) -> None:
        self._sources, obs = sources, sources.model.pool.obs
        self._space = GoalSpace.of(sources.model.dynamics.layout, sources.model.device)
        self._centre, self._scale = obs.mean(dim=0), obs.std(dim=0).clamp(min=1e-3)
        found = [self._moved(task) for task in sources.tasks]
        self.positions = torch.tensor(sorted({column for column, _ in found}), device=obs.device)
        thirds = torch.tensor([min(2, int(3 * max(0.0, place))) for _, place in found])
        places = torch.tensor([place for _, place in found])
        means = [places[thirds == third].mean() for third in thirds.unique()]
        self.kinds = torch.stack(means).to(obs.device)
        kinds = [int((thirds.unique() == third).nonzero()) for third in thirds]
        self.table = torch.stack([self._row(*one, kind) for one, kind in zip(found, kinds, strict=True)])

    def of(self, target: Task, table: Float[Tensor, "K C"]) -> Float[Tensor, " C"]:
        """See `Contexts.of`.

        Raises:
            UserError: no source task moves what the target moves.
        """
        column, place = self._moved(target)
        if column not in self.positions.tolist():
            name = self._sources.model.dynamics.layout.columns
            known = ", ".join(name[at] for at in self.positions.tolist())
            raise UserError(
                f"task {target.name!r} moves {name[column]}, and source tasks move {known} alone; "
                "use another context and the trunk mlp or soft_modules"
            )
        return self._row(column, place, int((self.kinds - place).abs().argmin()))

    def _moved(self, task: Task) -> tuple[int, float]:
        """Column and place, as a share of the range, of what a task moves."""
        wanted, place = self._space.goal_of(
            self._sources.model.label(task, self._sources.labels), most=True
        ).chunk(2)
        where = wanted.nonzero()[:, 0]
        if len(where) > 1:
            raise UserError(
                f"task {task.name!r} moves no object by its labels; the context object_goal needs one"
            )
        return int(self._space.columns[where[0]]), float(place[where[0]])

    def _row(self, column: int, place: float, kind: int) -> Float[Tensor, " C"]:
        row = torch.zeros(len(self.positions) + len(self.kinds) + 1, device=self._centre.device)
        row[(self.positions == column).nonzero()[0, 0]] = row[len(self.positions) + kind] = 1.0
        at = (self._space.columns == column).nonzero()[0, 0]
        to = self._space.low[at] + place * self._space.span[at]
        row[-1] = (to - self._centre[column]) / self._scale[column]
        return row


CONTEXTS: dict[str, type[Contexts]] = {
    "one_hot": OneHot,
    "embedding": Embedding,
    "metadata": Metadata,
    "label_vector": LabelVector,
    "object_goal": ObjectGoal,
}
"""The kinds by name."""


def nearest_source(sources: Sources, target: Task) -> int:
    """Number of the source task whose label vector is nearest to the target's."""
    vectors = torch.stack([task_vector(sources, task) for task in sources.tasks])
    return int((vectors - task_vector(sources, target)).square().sum(dim=1).argmin())


def _description(task: Task) -> str:
    if isinstance(task, LabelledTask):
        raise UserError(
            f"task {task.name!r} is known by labels alone, and its description does not say what it is; "
            "use the context label_vector"
        )
    return task.description
