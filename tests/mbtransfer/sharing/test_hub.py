"""The Hub's own client against a Hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.sharing.card import read_card
from mbtransfer.sharing.contents import CARD
from mbtransfer.sharing.places import find_place
from mbtransfer.sharing.pull import pull
from mbtransfer.sharing.push import push_again
from tests.mbtransfer.sharing.hub_server import Hub, local_hub

hub_client = pytest.importorskip("huggingface_hub")

from mbtransfer.sharing.describe import dataset_card  # noqa: E402
from mbtransfer.sharing.hub import HubRepository  # noqa: E402
from mbtransfer.sharing.push import push  # noqa: E402


@pytest.fixture
def hub() -> Iterator[Hub]:
    with local_hub() as running:
        yield running


def repository(hub: Hub, text: str = "hf:me/kitchen") -> HubRepository:
    named = HubRepository.named(text)
    api = hub_client.HfApi(endpoint=hub.url, token="hf_test")
    return HubRepository(named.name, named.revision, api=api)


def test_a_model_goes_to_the_hub_and_comes_back(hub: Hub, pushed: Path, tmp_path: Path) -> None:
    place = repository(hub)
    place.check("model")
    where, checksum = push_again(pushed, place)
    assert "hf:me/kitchen" in where and hub.private["model", "me/kitchen"]
    card, pulled = pull(repository(hub), tmp_path / "pulled")
    assert (card, pulled) == (read_card(pushed)[0], checksum)
    for path in pushed.iterdir():
        assert (tmp_path / "pulled" / path.name).read_bytes() == path.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pulled"]
    assert len(list((tmp_path / "pulled").iterdir())) == len(list(pushed.iterdir()))


def test_a_dataset_is_found_by_the_same_name(hub: Hub, dataset: Dataset, tmp_path: Path) -> None:
    place = repository(hub, "hf:me/data")
    push(dataset.path, dataset_card(dataset.path, "data", None), place)
    assert list(hub.repositories) == [("dataset", "me/data")]
    pull(repository(hub, "hf:me/data"), tmp_path / "pulled")
    assert Dataset.open(tmp_path / "pulled").digest == dataset.digest


def test_pushing_again_replaces_and_older_revisions_stay(hub: Hub, pushed: Path, tmp_path: Path) -> None:
    push_again(pushed, repository(hub))
    key = ("model", "me/kitchen")
    first = hub.sha(key, 1)
    hub.repositories[key][-1]["dynamics-0000000000000000.safetensors"] = b"older"
    repository(hub).check("model")
    push_again(pushed, repository(hub))
    assert "dynamics-0000000000000000.safetensors" not in hub.repositories[key][-1]
    pull(repository(hub, f"hf:me/kitchen@{first}"), tmp_path / "first")


def test_what_was_changed_on_the_hub_is_not_taken(hub: Hub, pushed: Path, tmp_path: Path) -> None:
    push_again(pushed, repository(hub))
    files = hub.repositories["model", "me/kitchen"][-1]
    name = next(name for name in files if name.startswith("dynamics"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    with pytest.raises(UserError, match="its checksum differs"):
        pull(repository(hub), tmp_path / "pulled")
    del files[name]
    with pytest.raises(UserError, match="hf:me/kitchen"):
        pull(repository(hub), tmp_path / "pulled")
    assert not list(tmp_path.iterdir())


def test_other_peoples_repositories_are_left_alone(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["model", "me/other"] = [{".gitattributes": b"", "weights.bin": b"x"}]
    with pytest.raises(UserError, match="holds something else"):
        repository(hub, "hf:me/other").check("model")
    for name in ("hf:me/other", "hf:me/none"):
        with pytest.raises(UserError, match=f"has no {CARD}"):
            pull(repository(hub, name), tmp_path / "pulled")


def test_names_and_a_hub_that_is_away(tmp_path: Path, pushed: Path) -> None:
    for name in ("hf:kitchen", "hf:a/b/c", "hf:../x", "hf:a/b@"):
        with pytest.raises(UserError, match="is not hf:OWNER/NAME"):
            find_place(name)
    with pytest.raises(UserError, match="each push is a new one"):
        HubRepository("me/kitchen", "main").check("model")
    away = HubRepository("me/kitchen", api=hub_client.HfApi(endpoint="http://127.0.0.1:9", token="hf_test"))
    with pytest.raises(UserError, match="cannot be reached"):
        pull(away, tmp_path / "pulled")
    assert not list(tmp_path.iterdir())
