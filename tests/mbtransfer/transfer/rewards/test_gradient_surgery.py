"""Combiners of gradients against closed forms, and on planted conflicts and differences of scale."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.transfer.rewards.gradient_surgery import (
    COMBINERS,
    SURGERY,
    Combiner,
    GradNorm,
    UncertaintyWeighting,
    make_combiner,
    plain_sum,
    set_gradients,
    task_gradients,
)

CONFLICT = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
LOSSES = torch.ones(2)


def combiner(name: str, tasks: int = 2) -> Combiner:
    """A combiner; the test is skipped where its library is not installed."""
    try:
        return make_combiner(name, tasks)
    except UserError as error:
        pytest.skip(str(error))


def descend(
    made: Combiner, centres: Tensor, scales: Tensor, optimiser: torch.optim.Optimizer, x: nn.Parameter,
    floor: float = 0.0, steps: int = 600,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Minimise the losses scale_k (|x - centre_k|^2 / 2 + floor): the end, and each relative gain."""
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0 if floor else 1.0, steps)
    first = losses = torch.zeros(len(centres))
    for step in range(steps):
        gap = x.detach() - centres
        losses = scales * (gap.square().sum(dim=1) / 2 + floor)
        first = first if step else losses
        x.grad = made(losses, scales[:, None] * gap)
        optimiser.step()
        schedule.step()
    return x.detach(), 1 - losses / first


def test_pcgrad_projects_each_gradient_onto_the_normal_plane_of_the_other() -> None:
    # (1, 0) less its part along (-1, 1) is (1/2, 1/2); (-1, 1) less its part along (1, 0) is (0, 1).
    torch.testing.assert_close(combiner("pcgrad")(LOSSES, CONFLICT), torch.tensor([0.5, 1.5]))
    agreed = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(combiner("pcgrad")(LOSSES, agreed), agreed.sum(dim=0))


def test_mgda_finds_the_shortest_convex_combination() -> None:
    # 0.6 (1, 0) + 0.4 (-1, 1), at right angles to the line through both.
    torch.testing.assert_close(combiner("mgda")(LOSSES, CONFLICT), torch.tensor([0.2, 0.4]))
    nested = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    torch.testing.assert_close(combiner("mgda")(LOSSES, nested), nested[0])


def test_upgrad_averages_the_projections_onto_the_dual_cone() -> None:
    found = combiner("upgrad")(LOSSES, CONFLICT)
    torch.testing.assert_close(found, torch.tensor([0.25, 0.75]), atol=1e-3, rtol=0.0)


def test_imtl_g_has_equal_projections_on_all_gradients() -> None:
    unit = nn.functional.normalize(CONFLICT, dim=1)
    one, two = unit @ combiner("imtl_g")(LOSSES, CONFLICT)
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", COMBINERS)
def test_equal_claims_are_met_half_way(name: str) -> None:
    found = combiner(name)(LOSSES, torch.eye(2))
    expected = torch.full((2,), 0.5**0.5)
    torch.testing.assert_close(nn.functional.normalize(found, dim=0), expected, atol=1e-3, rtol=0.0)


WEAKER = 1.0
"""Position of the weaker task in the planted conflict; the other one pulls ten times as hard to the other side."""


@pytest.fixture(scope="module")
def conflict() -> Callable[[Combiner], tuple[Tensor, Tensor]]:
    """Gradient descent on the planted conflict: the end, and each task's gain."""
    centres, scales = torch.tensor([[-2.0, 1.0], [WEAKER, 1.0]]), torch.tensor([10.0, 1.0])

    def descent(made: Combiner) -> tuple[Tensor, Tensor]:
        x = nn.Parameter(torch.zeros(2))
        return descend(made, centres, scales, torch.optim.SGD([x], 0.002), x, steps=1500)

    return descent


def test_the_plain_sum_sacrifices_the_weaker_task(
    conflict: Callable[[Combiner], tuple[Tensor, Tensor]],
) -> None:
    end, gains = conflict(plain_sum)
    torch.testing.assert_close(end, torch.tensor([(-20.0 + WEAKER) / 11, 1.0]), atol=0.02, rtol=0.0)
    torch.testing.assert_close(gains, torch.tensor([0.985, -2.719]), atol=0.02, rtol=0.0)


@pytest.mark.parametrize(
    ("name", "least"), [("pcgrad", 0.0), ("mgda", 0.0), ("gradnorm", 0.2), ("upgrad", -0.5), ("cagrad", -1.0)]
)
def test_the_weaker_task_is_saved(
    name: str, least: float, conflict: Callable[[Combiner], tuple[Tensor, Tensor]]
) -> None:
    _, gains = conflict(combiner(name))
    assert float(gains.min()) > least > -2.7, "the least gain under the plain sum"


def test_pcgrad_leaves_the_weaker_task_as_far_off_as_it_was(
    conflict: Callable[[Combiner], tuple[Tensor, Tensor]],
) -> None:
    # The stronger gradient loses its part along the weaker one: x circles round the weaker task's place.
    end, _ = conflict(combiner("pcgrad"))
    torch.testing.assert_close(end, torch.tensor([WEAKER - 2**0.5, 1.0]), atol=0.08, rtol=0.0)


SCALES = torch.tensor([1.0, 1000.0])
APART = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
"""Equally far from the start, so that a fair end is half way: at (0, 1)."""


def unequal(made: Combiner, steps: int = 600) -> tuple[Tensor, Tensor]:
    """Adam on two tasks of very different scale, with a short memory: its first gradients are far too large."""
    x = nn.Parameter(torch.zeros(2))
    return descend(made, APART, SCALES, torch.optim.Adam([x], 0.03, (0.9, 0.9)), x, 1.0, steps)


def test_the_sum_follows_the_larger_scale() -> None:
    end, gains = unequal(plain_sum)
    torch.testing.assert_close(end, APART[1], atol=0.02, rtol=0.0)
    assert float(gains.min()) < -0.4


def test_gradnorm_resolves_a_difference_of_scale() -> None:
    made = GradNorm(2)
    end, gains = unequal(made)
    torch.testing.assert_close(end, torch.tensor([0.0, 1.0]), atol=0.1, rtol=0.0)
    assert float(gains.min()) > 0.15
    weights = made.weights.detach()
    torch.testing.assert_close(weights.sum(), torch.tensor(2.0))
    assert 700 < float(weights[0] / weights[1]) < 1400, "the weights undo the scales"


def test_uncertainty_weighting_resolves_a_difference_of_scale() -> None:
    # sum_k log(|x - centre_k|^2 / 2 + floor) is least half way where floor > half the squared distance to it.
    made = UncertaintyWeighting(2)
    end, gains = unequal(made, steps=1500)
    torch.testing.assert_close(end, torch.tensor([0.0, 1.0]), atol=0.02, rtol=0.0)
    assert float(gains.min()) > 0.2
    torch.testing.assert_close(made.variance, 1.5 * SCALES, rtol=0.02, atol=0.0)


def test_gradnorm_favours_the_slower_task() -> None:
    made = GradNorm(2)
    for left in (1.0, *[0.5] * 20):
        made(torch.tensor([1.0, left]), torch.eye(2))
    slower, faster = made.weights.tolist()
    assert slower > 1.1 > 0.9 > faster


def loss(shared: dict[str, Tensor], own: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    return (torch.tanh(x @ shared["w"]) @ own["v"] - y).square().mean()


def problem(
    generator: torch.Generator,
) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter], list[Tensor]]:
    """Three tasks with ten rows each."""
    shared = {"w": nn.Parameter(torch.randn(4, 5, generator=generator))}
    own = {"v": nn.Parameter(torch.randn(3, 5, generator=generator))}
    return shared, own, [torch.randn(3, 10, 4, generator=generator), torch.randn(3, 10, generator=generator)]


def test_the_gradients_of_all_tasks_come_in_one_pass(generator: torch.Generator) -> None:
    shared, own, (x, y) = problem(generator)
    losses, gradients, of_own = task_gradients(loss, shared, own, (x, y))
    for k in range(3):
        alone = loss(dict(shared), {"v": own["v"][k]}, x[k], y[k])
        w, v = torch.autograd.grad(alone, [shared["w"], own["v"]])
        torch.testing.assert_close((losses[k], gradients["w"][k], of_own["v"][k]), (alone.detach(), w, v[k]))


def test_the_plain_sum_is_the_gradient_of_the_summed_loss(generator: torch.Generator) -> None:
    shared, own, data = problem(generator)
    found = []
    for made in (plain_sum, lambda losses, gradients: gradients.sum(dim=0)):
        losses = set_gradients(made, loss, shared, own, data)
        found.append((losses, shared["w"].grad, own["v"].grad))
    torch.testing.assert_close(*found)


def test_a_surgeon_has_randomness_of_its_own(generator: torch.Generator) -> None:
    gradients = torch.randn(6, 3, generator=generator)
    before = torch.get_rng_state()
    runs = [make(torch.ones(6), gradients) for make in (combiner("pcgrad", 6), combiner("pcgrad", 6))]
    assert torch.equal(*runs) and torch.equal(before, torch.get_rng_state())
    made = combiner("pcgrad", 6)
    several = torch.stack([made(torch.ones(6), gradients) for _ in range(5)])
    assert len(several.unique(dim=0)) > 1, "another order each time"


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd", None)
    for name in SURGERY:
        with pytest.raises(UserError, match=r"pip install 'mbtransfer\[transfer\]'"):
            make_combiner(name, 2)


def test_a_name_that_is_unknown_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no combiner of gradients 'pc_grad'; did you mean 'pcgrad'"):
        make_combiner("pc_grad", 2)
