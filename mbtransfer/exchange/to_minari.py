"""A dataset of ours as a Minari dataset, from which it can be imported again bit for bit."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbtransfer.atomic import PREFIX
from mbtransfer.dataset import Dataset
from mbtransfer.dataset.manifest import header_content
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.exchange.from_minari import HEADER, check_name
from mbtransfer.exchange.reading import extra
from mbtransfer.exchange.units import content_digest
from tasks.spec import Variable


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
    with _appearing(final, name) as folder:
        _write(dataset, name, folder / "data")
    return final


@contextlib.contextmanager
def _appearing(final: Path, name: str) -> Iterator[Path]:
    """A hidden folder beside all datasets, which becomes `final` on a clean exit and else is removed."""
    root = final.parents[name.count("/")]
    folder = root / f"{PREFIX}{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True)
        yield folder
        _make_group(name)
        os.replace(folder, final)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {final}: {reason}; what was there before is unharmed") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
