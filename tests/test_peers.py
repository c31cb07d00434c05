from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear, relu

work = pytest.importorskip("benchmarks.peers.work", reason="a wheel comes without benchmarks")

from benchmarks.peers import ours, roster  # noqa: E402
from benchmarks.peers.batched import BatchedEnsemble  # noqa: E402
from benchmarks.peers.check import check  # noqa: E402

PEERS = ("mbrl", "torchrl", "pytorch_mppi")
SMALL = work.Sizes(
    obs=4, action=2, members=3, hidden=16, layers=2, candidates=40, horizon=4, iterations=2, elites=8
)


@pytest.fixture(scope="module")
def small() -> work.Work:
    return work.Work(SMALL)


def test_all_networks_are_the_same_one(small: work.Work) -> None:
    generator = torch.Generator().manual_seed(3)
    obs, action = (torch.randn(7, size, generator=generator) for size in (4, 2))
    dynamics, scales = small.dynamics, small.dynamics.normalizer
    right = small.predict(obs, action)
    for member, predicted in enumerate(right):
        x = torch.cat([(obs - scales.centre) / scales.scale, action], dim=1)
        for i, (weight, bias) in enumerate(zip(dynamics.weights, dynamics.biases, strict=True)):
            x = linear(relu(x) if i else x, weight[member], bias[member, :, 0])
        torch.testing.assert_close(predicted, (obs + scales.change * x).detach(), atol=1e-5, rtol=1e-5)
    for predict in (ours.entries(small)[0].predict, BatchedEnsemble(small).predict):
        torch.testing.assert_close(predict(obs, action), right, atol=1e-5, rtol=1e-5)


def test_what_is_not_as_it_should_be_is_refused(small: work.Work) -> None:
    entry = ours.entries(small)[0]
    assert check(entry, small).gain > 0
    with pytest.raises(RuntimeError, match="another one"):
        check(replace(entry, predict=lambda obs, action: small.predict(obs, action) + 1), small)
    with pytest.raises(RuntimeError, match="0 model steps"):
        check(replace(entry, decide=lambda obs: torch.zeros(2)), small)


def test_a_peer_that_is_not_installed_is_left_out_by_name(
    small: work.Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    for peer in PEERS:
        monkeypatch.setitem(sys.modules, peer, None)
    entries, missing = roster.gather(small)
    assert {entry.package for entry in entries} == {"mbtransfer"}
    assert len(missing) == len(PEERS)
    for line, library in zip(missing, roster.LIBRARIES[1:], strict=True):
        assert line.startswith(f"{library.name} left out (") and line.endswith(library.install)
