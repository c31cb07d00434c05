"""Meta-learned weights learn new tasks in fewer steps, by the updates of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.transfer.model.meta_initialisation import (
    Data,
    MetaConfig,
    TaskSampler,
    first_order_maml,
    inner_steps,
    losses,
    pretrain_jointly,
    query_losses,
    reptile,
    spread,
)
from mbtransfer.transfer.model.meta_tasks import Sines, VariantSampler, dynamics_loss, squared_error
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Body, Layout
from world_models.training.batches import Step
from world_models.training.losses import MultiStepLoss
from world_models.transitions import Transitions

SGD = partial(torch.optim.SGD, lr=0.02)
ADAM = partial(torch.optim.Adam, lr=0.003, betas=(0.0, 0.999))
"""The inner optimiser of Reptile's experiments, without momentum."""


def sine_network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Point(nn.Module):
    """One number w; the loss of task c is half its squared distance to c."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.5]))


def distance(module: nn.Module, data: Data) -> Tensor:
    return 0.5 * (module.w - data[0]).square().sum()  # type: ignore[operator]


def targets(*centres: float) -> TaskSampler:
    """Two tasks, c and -3 c, for c of each batch."""

    def sample(tasks: int, batches: int, generator: torch.Generator) -> Sequence[Data]:
        assert (tasks, batches) == (2, len(centres))
        return [(torch.tensor([[c], [-3.0 * c]]),) for c in centres]

    return sample


def test_reptile_moves_towards_what_the_steps_reach() -> None:
    module = Point()
    inner = partial(torch.optim.SGD, lr=0.1)
    reptile(module, distance, targets(1.0, 2.0), MetaConfig(1, 2, 2, inner, rate=0.4), gen())
    # w after two steps of rate 0.1 to c1 and then to c2 is 0.81 w + 0.09 c1 + 0.1 c2; mean over the tasks, 0.4 of it.
    ends = [0.81 * 0.5 + 0.09 * c + 0.1 * 2 * c for c in (1.0, -3.0)]
    assert float(module.w.detach()) == pytest.approx(0.5 + 0.4 * (sum(ends) / 2 - 0.5), abs=1e-6)


def test_reptiles_rate_falls_to_zero_in_a_line() -> None:
    module, inner = Point(), partial(torch.optim.SGD, lr=1.0)  # one step reaches c: -1 on the mean
    reptile(module, distance, targets(1.0), MetaConfig(2, 2, 1, inner, rate=1.0), gen())
    assert float(module.w.detach()) == pytest.approx(
        -1.0
    )  # all of the way, then half of what is left: nothing
    module = Point()
    reptile(module, distance, targets(1.0), MetaConfig(2, 2, 1, inner, rate=0.5), gen())
    assert float(module.w.detach()) == pytest.approx(-1.0 + 1.5 * 0.5 * 0.75)


def test_first_order_maml_follows_the_gradient_at_the_weights_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = Point()
    monkeypatch.setattr(
        torch.optim, "Adam", torch.optim.SGD
    )  # so that the size of the step tells the gradient
    inner = partial(torch.optim.SGD, lr=0.1)
    first_order_maml(module, distance, targets(1.0, 2.0), MetaConfig(1, 2, 1, inner, rate=0.3), gen())
    # One step to c, then the gradient by another batch 2 c: (0.9 w + 0.1 c) - 2 c, mean over c = 1 and c = -3.
    slope = sum(0.9 * 0.5 + 0.1 * c - 2 * c for c in (1.0, -3.0)) / 2
    assert float(module.w.detach()) == pytest.approx(0.5 - 0.3 * slope, abs=1e-6)


def test_steps_on_one_batch_reuse_it() -> None:
    module, inner = Point(), partial(torch.optim.SGD, lr=0.1)
    reptile(module, distance, targets(1.0), MetaConfig(1, 2, 3, inner, rate=1.0, reuse=True), gen())
    assert float(module.w.detach()) == pytest.approx(0.9**3 * 0.5 + (1 - 0.9**3) * -1.0, abs=1e-6)


@pytest.mark.parametrize("optimiser", [SGD, ADAM], ids=["sgd", "adam"])
def test_tasks_side_by_side_are_tasks_one_by_one(optimiser: Callable[..., torch.optim.Optimizer]) -> None:
    support = Sines()(3, 4, gen())
    module = sine_network()
    reached = inner_steps(module, squared_error, support, optimiser)
    assert all(
        torch.equal(a, b) for a, b in zip(module.parameters(), sine_network().parameters(), strict=True)
    )
    for task in range(3):
        alone = sine_network()
        steps = optimiser(list(alone.parameters()))
        for x, y in support:
            steps.zero_grad()
            squared_error(alone, (x[task], y[task])).backward()
            steps.step()
        for name, weight in alone.named_parameters():
            torch.testing.assert_close(reached[name][task], weight.detach(), rtol=1e-4, atol=1e-5)


def test_a_curve_begins_before_the_first_step_and_ends_after_the_last() -> None:
    module, (support, query) = sine_network(), Sines().with_grid(6, 3, gen())
    curve = query_losses(module, squared_error, support, query, SGD)
    at_first = torch.stack([squared_error(module, (x, y)) for x, y in zip(*query, strict=True)])
    torch.testing.assert_close(curve[0], at_first.detach(), rtol=1e-4, atol=1e-5)
    reached = losses(module, squared_error, inner_steps(module, squared_error, support, SGD), query)
    torch.testing.assert_close(curve[3], reached.detach(), rtol=1e-5, atol=1e-6)
    assert tuple(curve.shape) == (4, 6)


def test_sines_are_those_of_the_paper() -> None:
    _, (x, y) = Sines().with_grid(2000, 1, gen(), points=2001)
    amplitude = y.abs().amax(dim=(1, 2))
    assert 0.1 <= float(amplitude.min()) < 0.15 and 4.95 < float(amplitude.max()) <= 5.0
    assert float(x.min()) == -5 and float(x.max()) == 5
    phase = torch.atan2(-(y * x.cos()).sum(dim=1), (y * x.sin()).sum(dim=1))
    assert float(phase.min()) > -0.3 and float(phase.max()) < torch.pi + 0.3 and float(phase.mean()) > 1.2


def few_shot_error(module: nn.Module, inner: Callable[..., torch.optim.Optimizer], steps: int) -> float:
    """On 100 new sines, after gradient steps on 10 points of each."""
    (points,), grid = Sines().with_grid(100, 1, gen(99))
    return float(query_losses(module, squared_error, [points] * steps, grid, inner)[-1].mean())


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"tasks": 0}, {"iterations": 0}, {"rate": 0.0}, {"rate": float("nan")}]
)
def test_a_setting_that_makes_no_sense_is_one_line(bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"^(meta-learning needs at least|the outer rate must be)"):
        MetaConfig(**bad)  # type: ignore[arg-type]


def test_divergence_is_named() -> None:
    wild = MetaConfig(101, 2, 5, partial(torch.optim.SGD, lr=1e6), rate=1.0)
    with pytest.raises(UserError, match="lower the rates"):
        reptile(sine_network(), squared_error, Sines(), wild, gen())


@pytest.fixture(scope="module")
def ordinary_errors() -> tuple[float, float]:
    """Few-shot errors from random weights and after ordinary pre-training, the better of two rates each."""
    pretrained = sine_network()
    pretrain_jointly(pretrained, squared_error, Sines(), MetaConfig(200, 10, 8, rate=1e-3), gen())
    steps = [partial(torch.optim.SGD, lr=lr) for lr in (0.01, 0.02)]
    random, joint = (min(few_shot_error(m, step, 10) for step in steps) for m in (sine_network(), pretrained))
    return random, joint


@pytest.mark.slow
def test_reptile_learns_to_learn_sines_from_ten_points(ordinary_errors: tuple[float, float]) -> None:
    module, (random, joint) = sine_network(), ordinary_errors
    reptile(module, squared_error, Sines(), MetaConfig(200, 10, 8, SGD, rate=1.0), gen())
    error = few_shot_error(module, SGD, 10)
    assert error < 0.6 * joint and error < 0.4 * random


def test_first_order_maml_learns_to_learn_sines_from_ten_points(ordinary_errors: tuple[float, float]) -> None:
    module, (random, joint) = sine_network(), ordinary_errors
    inner = partial(torch.optim.SGD, lr=0.01)
    config = MetaConfig(400, 25, 1, inner, rate=3e-3, reuse=True)
    first_order_maml(module, squared_error, Sines(), config, gen())
    error = few_shot_error(module, inner, 10)
    assert error < 0.6 * joint and error < 0.4 * random


LAYOUT = Layout(
    tuple("txyzuvwpqabc"), (-1.0,) * 12, (1.0,) * 12, (False, True, True, True, *(False,) * 3, True, *(False,) * 4), 2,
    Body("hand", (1, 2, 3), (4, 5, 6)), (Body("drawer", (7,), (8,), (9, 10, 11)),),
)  # fmt: skip
"""A hand and one object."""


def ensemble() -> EnsembleDynamics:
    return EnsembleDynamics(LAYOUT, EnsembleConfig(members=2, hidden=8), gen())


def pool(seed: int, rows: int = 64) -> Transitions:
    """Made-up transitions: from variant to variant, actions move columns a bit differently."""
    shape, generator = (LAYOUT.action_size, LAYOUT.obs_size), gen(seed)
    way = 0.01 * torch.randn(shape, generator=gen(99)) + 0.003 * torch.randn(shape, generator=generator)
    obs = torch.rand(rows, LAYOUT.obs_size, generator=generator)
    actions = 2 * torch.rand(rows, LAYOUT.action_size, generator=generator) - 1
    return Transitions(obs, actions, obs + actions @ way)


def test_an_ensembles_loss_side_by_side_is_that_of_its_training() -> None:
    dynamics, sampler = ensemble(), VariantSampler((pool(0), pool(1)), members=2, batch=16)
    data = sampler.rows([0, 1, 1], gen())
    side_by_side = losses(dynamics, dynamics_loss, spread(dynamics, 3), data)
    one_by_one = [
        MultiStepLoss(dynamics, "mse")((Step(*columns),)).sum() for columns in zip(*data, strict=True)
    ]
    torch.testing.assert_close(side_by_side, torch.stack(one_by_one), rtol=1e-4, atol=1e-6)


def test_a_batch_of_a_variant_is_of_its_pool_alone_and_each_member_draws_its_own() -> None:
    pools = (pool(0), pool(1), pool(2))
    sampler = VariantSampler(pools, members=2, batch=50)
    for obs, actions, next_obs in sampler(4, 3, gen()):
        assert tuple(obs.shape[:3]) == tuple(actions.shape[:3]) == tuple(next_obs.shape[:3]) == (4, 2, 50)
        for task in range(4):
            known = [{tuple(row) for row in part.next_obs.tolist()} for part in pools]
            rows = [{tuple(row) for row in next_obs[task, member].tolist()} for member in range(2)]
            assert sum(rows[0] | rows[1] <= one for one in known) == 1
            assert rows[0] != rows[1]


@pytest.mark.parametrize("learn", [reptile, first_order_maml, pretrain_jointly])
def test_an_ensemble_learns_from_variants(learn: Callable[..., None]) -> None:
    dynamics, pools = ensemble(), tuple(pool(seed) for seed in range(4))
    sampler = VariantSampler(pools, members=2)
    everything = Transitions.join(pools)
    dynamics.normalizer.fit(everything.obs, everything.next_obs)
    change = dynamics.normalizer.change.clone()
    query = sampler.rows(range(4), gen(5))
    support = [sampler.rows(range(4), gen(6 + k)) for k in range(5)]

    def after() -> float:
        return float(query_losses(dynamics, dynamics_loss, support, query, ADAM)[-1].mean())

    before = after()
    rate = 1.0 if learn is reptile else 0.01
    inner = partial(torch.optim.Adam, lr=0.01)
    learn(dynamics, dynamics_loss, sampler, MetaConfig(40, 4, 3, inner, rate), gen())
    assert after() < 0.7 * before and torch.equal(dynamics.normalizer.change, change)
