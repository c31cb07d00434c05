"""Episodes cut into units of work, each with a key that depends on nothing but its content and its place."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence

import numpy as np

from mbtransfer.dataset.files import KEY_PATTERN
from mbtransfer.episode import Episode
from mbtransfer.exchange.source import Source

EPISODES = 50
"""Episodes per unit, where the source does not tell."""

Unit = tuple[str, list[Episode]]


def content_digest(episodes: Sequence[Episode]) -> str:
    """Checksum of all that episodes hold."""
    digest = hashlib.sha256()
    for episode in episodes:
        tags = [episode.behaviour, episode.seed, bool(episode.terminated), bool(episode.truncated)]
        arrays = {"obs": episode.obs, "actions": episode.actions, "state": episode.state}
        if episode.rewards is not None:
            arrays["rewards"] = episode.rewards
        shapes = {name: array.shape for name, array in arrays.items()}
        digest.update(json.dumps([tags, shapes]).encode())
        for array in arrays.values():
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def cut(source: Source) -> Iterator[Unit]:
    """All episodes of a source, in units.

    What was exported from a dataset of ours keeps its units, as long as nobody has changed what is in them.
    """
    for index, (claimed, episodes) in enumerate(_parts(source)):
        digest = content_digest(episodes)
        if claimed[1] == digest and KEY_PATTERN.fullmatch(claimed[0]):
            yield claimed[0], episodes
        else:
            slug = re.sub(r"[^A-Za-z0-9]+", "-", source.name).strip("-")[:60] or "import"
            yield f"{slug}-{index:05d}-{digest[:16]}", episodes


def _parts(source: Source) -> Iterator[tuple[tuple[str, str], list[Episode]]]:
    if source.keys:
        pairs = zip(source.keys, source.episodes(), strict=False)
        for claimed, whole in itertools.groupby(pairs, lambda pair: pair[0]):
            yield claimed, [episode for _, episode in whole]
        return
    episodes = source.episodes()
    while part := list(itertools.islice(episodes, EPISODES)):
        yield ("", ""), part
