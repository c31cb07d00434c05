"""From episodes of a told environment (`tasks.randomised`) to what an encoder and other models learn from."""

from collections.abc import Sequence

import torch

from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from world_models.identification.fit import KnownEpisode
from world_models.transitions import Transitions


def known_episodes(episodes: Sequence[Episode], parameters: int) -> list[KnownEpisode]:
    """Episodes of a told environment, with its K parameters apart from what else is observed.

    Raises:
        UserError: fewer columns than parameters, or parameters that change within an episode.
    """
    found = []
    for one in episodes:
        cut = one.obs.shape[1] - parameters
        seen, told = one.obs[:, :cut], one.obs[:, cut:]
        if not 0 < cut < one.obs.shape[1] or (told != told[0]).any():
            raise UserError(f"{one.label}: its last {parameters} columns are not parameters of its dynamics")
        found.append(KnownEpisode(*map(torch.from_numpy, (seen.copy(), one.actions, told[0].copy()))))
    return found


def without_parameters(data: Transitions, parameters: int) -> Transitions:
    """The transitions as a robot sees them that is not told the K parameters."""
    return Transitions(
        data.obs[:, :-parameters].contiguous(), data.actions, data.next_obs[:, :-parameters].contiguous()
    )
