"""Reader and writer of Minari datasets."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from mbtransfer.data import Dataset, Header
from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import assemble, check_hdf5, content_digest, extra, flatten, readable
from mbtransfer.data.formats.source import Limits, Source
from mbtransfer.data.header import header_content, parse_header
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import appearing
from tasks.spec import Variable

HEADER = "mbtransfer_header"
"""Key of a dataset's metadata: the header of ours that it was exported from."""

TAGS = ("behaviour", "key", "digest", "has_rewards", "seed_text")
"""What our export notes beside each episode, each as `mbtransfer_NAME`."""


def read_minari(name: str, keys: Sequence[str] = ()) -> Source:
    """A Minari dataset by its id, as `D4RL/kitchen/complete-v2`.

    One that `export_minari` wrote comes back as it was. Else `infos["state"]` is taken for the simulator's state,
    where there is one row per observation.

    Raises:
        UserError: Minari is not installed, there is no such dataset, it cannot be downloaded, or its spaces are of a
            kind that cannot be imported.
    """
    minari = extra("minari")
    extra("h5py")
    check_name(name)
    storage = _load(minari, name).storage
    metadata = _metadata(storage, name)
    header = _header(metadata, name)
    with readable(f"minari:{name}"):
        for kind, space in (("observation", storage.observation_space), ("action", storage.action_space)):
            _refuse_space(space, f"minari:{name}: the {kind} space")
        tags = list(storage.get_episode_metadata(range(storage.total_episodes)))
        if not tags:
            raise UserError(f"minari:{name} holds no episodes")
        first = next(iter(storage.get_episodes([0])))
    columns = flatten(first["observations"], keys, f"minari:{name}")[0]
    return Source(
        name, _env(metadata, name), columns, lambda: _episodes(storage, tags, keys, name),
        observation=_limits(storage.observation_space, len(columns)),
        action=_limits(storage.action_space, np.shape(first["actions"])[-1]),
        header=header, keys=_keys(tags) if header else (),
    )  # fmt: skip


def check_name(name: str) -> None:
    """Refuse what Minari cannot call a dataset.

    Raises:
        UserError: with the rule.
    """
    parse = extra("minari.dataset.minari_dataset").parse_dataset_id
    try:
        parse(name)
    except (ValueError, TypeError) as error:
        rule = "write minari:NAME-vN, or minari:GROUP/NAME-vN, in letters, digits, '-' and '_'"
        raise UserError(f"Minari cannot call a dataset {name!r}; {rule}") from error


def _load(minari: Any, name: str) -> Any:
    local = extra("minari.storage.datasets_root_dir").get_dataset_path(name) / "data"
    if local.exists():
        with readable(f"minari:{name}"):
            for file in sorted(local.glob("*.hdf5")):
                check_hdf5(file, f"minari:{name}")
            return minari.load_dataset(name)
    lacking = f"there is no Minari dataset {name} here"
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # it tells of each attempt; the last one counts
    try:
        return minari.load_dataset(name, download=True)
    except ImportError as error:
        raise UserError(f"{lacking}; to download one: pip install 'mbtransfer[minari]'") from error
    except Exception as error:  # servers, proxies and files fail in their own ways
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{lacking}, and it cannot be downloaded: {reason}") from error


def _metadata(storage: Any, name: str) -> dict[str, Any]:
    with readable(f"minari:{name}"):
        found: dict[str, Any] = storage.metadata
    return found


def _header(metadata: dict[str, Any], name: str) -> Header | None:
    return parse_header(Path(f"minari:{name}"), metadata[HEADER]) if HEADER in metadata else None


def _env(metadata: dict[str, Any], name: str) -> str:
    """The id of the environment; where it is not told, the name without group and version."""
    try:
        return str(json.loads(metadata["env_spec"])["id"])
    except (KeyError, ValueError, TypeError):
        return name.rpartition("-v")[0].replace("/", "-")


def _refuse_space(space: Any, name: str) -> None:
    spaces = extra("gymnasium").spaces
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            _refuse_space(part, f"{name}, part {key!r},")
    elif not isinstance(space, spaces.Box):
        raise UserError(f"{name} is {type(space).__name__}; only Box, and Dict of them, can be imported")


def _limits(space: Any, size: int) -> Limits | None:
    """What a space of one part allows; None where it does not say it column by column."""
    low, high = (getattr(space, side, None) for side in ("low", "high"))
    if not isinstance(low, ndarray) or not isinstance(high, ndarray) or low.size != size:
        return None
    return low.reshape(-1).astype(np.float64), high.reshape(-1).astype(np.float64)


def _keys(tags: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(str(tag.get("mbtransfer_key", "")), str(tag.get("mbtransfer_digest", ""))) for tag in tags]


def _episodes(
    storage: Any, tags: Sequence[dict[str, Any]], keys: Sequence[str], name: str
) -> Iterator[Episode]:
    with readable(f"minari:{name}"):
        for number, (content, tag) in enumerate(
            zip(storage.get_episodes(range(len(tags))), tags, strict=True)
        ):
            found = _episode(content, tag, keys, f"minari:{name}: episode {number}", name)
            if found is not None:
                yield found


def _episode(content: Any, tag: dict[str, Any], keys: Sequence[str], label: str, name: str) -> Episode | None:
    own = {key: tag[f"mbtransfer_{key}"] for key in TAGS if f"mbtransfer_{key}" in tag}
    obs, state = flatten(content["observations"], keys, label)[1], (content["infos"] or {}).get("state")
    ends = [np.asarray(content[part]) for part in ("terminations", "truncations")]
    terminated, truncated = (bool(part.size and part.flat[-1]) for part in ends)
    if isinstance(state, ndarray) and (state.ndim != 2 or len(state) != len(obs)):
        state = None
    return assemble(
        label, obs, content["actions"], behaviour=str(own.get("behaviour", name)),
        seed=int(own.get("seed_text", tag.get("seed", content["id"]))),
        terminated=terminated, truncated=truncated if own else None if not truncated else True,
        rewards=content["rewards"] if own.get("has_rewards", True) else None,
        state=state if isinstance(state, ndarray) else None,
    )  # fmt: skip


def export_minari(dataset: Dataset, name: str) -> Path:
    """Write every episode; the folder appears when all is in it.

    The simulator's state goes to `infos["state"]`; behaviour, unit and seed beside each episode; names, units and
    ranges of the columns into the metadata. Episodes without rewards get zeros, and a note that they had none.

    Returns:
        The folder of the new Minari dataset.

    Raises:
        UserError: Minari is not installed, a dataset of that name exists, nothing to export, or a full disk.
    """
    extra("h5py")
    extra("minari")
    check_name(name)
    final: Path = extra("minari.storage.datasets_root_dir").get_dataset_path(name)
    if final.exists():
        raise UserError(f"there is a Minari dataset {name} already; give another name or a higher version")
    if not len(dataset):
        raise UserError(f"{dataset.path} holds no episodes to export")
    with appearing(final, root=final.parents[name.count("/")]) as folder:
        _write(dataset, name, folder / "data")
        _make_group(name)
    return final


def _make_group(name: str) -> None:
    """Make the folders of a name like `kitchen/mine-v0` known to Minari."""
    namespaces, group = extra("minari.namespace"), name.rpartition("/")[0]
    if group and group not in namespaces.list_local_namespaces():
        namespaces.create_namespace(group)


def _write(dataset: Dataset, name: str, folder: Path) -> None:
    header = dataset.header
    storage = extra("minari.dataset.minari_storage").MinariStorage.new(
        folder, _box(header.observation), _box(header.action), _env_spec(header.env)
    )
    about = {
        "dataset_id": name,
        "minari_version": extra("minari").__version__,
        HEADER: header_content(header),
    }
    storage.update_metadata(about)
    done = 0
    for shard, chosen in dataset.pool.parts:
        episodes = [shard.episode(index) for index in chosen]
        storage.update_episodes([_buffer(episode) for episode in episodes])
        numbers = range(done, done + len(episodes))
        storage.update_episode_metadata(_tags(episodes, shard.key), numbers)
        done += len(episodes)


def _box(columns: Sequence[Variable]) -> Any:
    sides = (np.array([getattr(column, side) for column in columns], np.float32) for side in ("low", "high"))
    return extra("gymnasium").spaces.Box(*sides, dtype=np.float32)


def _env_spec(env: str) -> Any:
    """What Gymnasium knows the environment by, for those who load the dataset with Minari."""
    known = extra("gymnasium").registry
    return next((spec for name, spec in known.items() if spec.kwargs.get("environment") == env), None)


def _buffer(episode: Episode) -> Any:
    steps, last = len(episode), np.arange(len(episode)) == len(episode) - 1
    rewards = np.zeros(steps) if episode.rewards is None else episode.rewards
    return extra("minari.data_collector").EpisodeBuffer(
        seed=episode.seed if 0 <= episode.seed < 2**63 else None, observations=episode.obs,
        actions=episode.actions, rewards=rewards, terminations=last & episode.terminated,
        truncations=last & episode.truncated, infos={"state": episode.state},
    )  # fmt: skip


def _tags(episodes: Sequence[Episode], key: str) -> list[dict[str, Any]]:
    digest = content_digest(episodes)
    return [
        {
            "mbtransfer_behaviour": episode.behaviour, "mbtransfer_seed_text": str(episode.seed),
            "mbtransfer_key": key, "mbtransfer_digest": digest,
            "mbtransfer_has_rewards": episode.rewards is not None,
        }
        for episode in episodes
    ]  # fmt: skip
