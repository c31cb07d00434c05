"""Label files: transitions with reward and success as a CSV table, complete or still to be filled in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.labels.table import numbers, read_table, truths
from mbtransfer.runtime.files import replacing
from tasks.spec import EnvSpec
from world_models.rewards.head import Labels
from world_models.transitions import Transitions


@dataclass(frozen=True, eq=False)
class LabelTable:
    """N transitions of which some have labels, on the CPU.

    Attributes:
        transitions: the transitions.
        reward: their rewards; NaN where there is no label yet.
        success: whether they lead to success; False where there is no label yet.
    """

    transitions: Transitions
    reward: Float[Tensor, " N"]
    success: Bool[Tensor, " N"]

    def __len__(self) -> int:
        """N."""
        return len(self.reward)

    @classmethod
    def blank(cls, transitions: Transitions) -> "LabelTable":
        """Transitions without labels."""
        n = len(transitions)
        return cls(transitions.to("cpu"), torch.full((n,), torch.nan), torch.zeros(n, dtype=torch.bool))

    @classmethod
    def of(cls, labels: Labels) -> "LabelTable":
        """Transitions that all have labels."""
        obs, actions, next_obs, reward, success = (part.cpu() for part in vars(labels).values())
        return cls(Transitions(obs, actions, next_obs), reward.float(), success)

    @property
    def open(self) -> Bool[Tensor, " N"]:
        """Which transitions have no label yet."""
        return self.reward.isnan()

    @property
    def labels(self) -> Labels:
        """The transitions that have a label."""
        some = self.transitions[~self.open]
        return Labels(
            some.obs, some.actions, some.next_obs, self.reward[~self.open], self.success[~self.open]
        )

    def and_also(self, other: "LabelTable") -> "LabelTable":
        """This table and then the other."""
        return LabelTable(
            Transitions.join([self.transitions, other.transitions]),
            torch.cat([self.reward, other.reward]),
            torch.cat([self.success, other.success]),
        )

    def answered(
        self, rows: Tensor, reward: Float[Tensor, " n"], success: Bool[Tensor, " n"]
    ) -> "LabelTable":
        """The same table with labels for some of the transitions, given by a mask or an index."""
        rewards, successes = self.reward.clone(), self.success.clone()
        rewards[rows], successes[rows] = reward.float().cpu(), success.cpu()
        return LabelTable(self.transitions, rewards, successes)


def transition_columns(spec: EnvSpec) -> list[str]:
    """The columns of a transition: obs under their own names, `action_NAME`, and `next_NAME` of next_obs."""
    obs, actions = ([variable.name for variable in some] for some in (spec.observation, spec.action))
    return [*obs, *(f"action_{name}" for name in actions), *(f"next_{name}" for name in obs)]


def transitions_of(rows: Float[np.ndarray, "N C"], spec: EnvSpec) -> Transitions:
    """The transitions in rows of these columns."""
    sizes = [spec.obs_size, spec.action_size, spec.obs_size]
    return Transitions(*torch.from_numpy(rows).split(sizes, dim=1))


def write_labels(path: Path, table: LabelTable, spec: EnvSpec) -> None:
    """Write a label file, whole or not at all; numbers are written so that reading restores them exactly.

    Raises:
        UserError: it cannot be written.
    """
    known, some = ~table.open.numpy(), table.transitions
    rows = np.concatenate([some.obs, some.actions, some.next_obs, table.reward[:, None]], axis=1)
    frame = pd.DataFrame(rows, columns=[*transition_columns(spec), "reward"])
    frame["success"] = pd.Series(table.success.numpy().astype(int), dtype="Int64").where(known)
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def read_labels(path: Path, spec: EnvSpec) -> LabelTable:
    """Read a label file. A row whose reward is empty is not labelled yet; columns of other names are left alone.

    Raises:
        UserError: as `read_table` and `numbers`, and as `truths` of success where there is a reward.
    """
    columns = transition_columns(spec)
    frame = read_table(path, [*columns, "reward", "success"], spec)
    transitions = transitions_of(numbers(frame, columns, path), spec)
    texts = frame["reward"].str.strip()
    open_rows = (texts == "").to_numpy()
    reward = numbers(frame.assign(reward=texts.mask(open_rows, "0")), ["reward"], path)[:, 0]
    reward[open_rows] = np.nan
    success = truths(frame, "success", path, ~open_rows)
    return LabelTable(transitions, torch.from_numpy(reward), torch.from_numpy(success))
