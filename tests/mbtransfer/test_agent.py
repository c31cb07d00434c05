"""The agent and what it plans with: warm starts, goals, learned and true worlds, scripted behaviours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.collecting.behaviours import Babble, Behaviour, Noise
from mbtransfer.collecting.runner import fresh_states, run_lockstep
from mbtransfer.errors import UserError
from mbtransfer.goal import GUARD_WEIGHT, Goal, Rewards, TrueRewards
from mbtransfer.model import Model
from mbtransfer.objective import LearnedDynamics, OracleDynamics, Outlook, Reward
from mbtransfer.valuation import Valuation
from planners.base import Bounds, Objective, Plan
from planners.registry import make_planner
from tasks.errors import TaskError
from tasks.registry import make
from tasks.scene import Scene
from tasks.task import Task
from world_models.imagine import Imagination, Imagined

KITCHEN = make("kitchen")
BOUNDS = Bounds(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 1.0]))
NO_STATE = np.zeros(0)


def nothing(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    return torch.zeros(obs.shape[:-1])


class Near(Outlook):
    """A plan is the better the closer its actions are to a target."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def __call__(self, candidates: Tensor) -> Tensor:
        return -(candidates - self.target).square().sum(dim=(-1, -2))


class Target(LearnedDynamics):
    """A world in which only the way to a target counts."""

    def __init__(self, target: Tensor) -> None:
        self.target, self.valuation = target, Valuation()

    def objective(
        self, obs: Tensor, state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Outlook:
        return Near(self.target)


class Counting:
    """A planner that returns its start plus one, and remembers the start."""

    horizon = 3

    def __init__(self) -> None:
        self.starts: list[Tensor] = []
        self.proposals: list[Tensor | None] = []
        self.deadlines: list[float | None] = []

    def plan(
        self,
        objective: Objective,
        start: Tensor,
        generator: torch.Generator,
        *,
        proposals: Tensor | None = None,
        deadline: float | None = None,
    ) -> Plan:
        self.starts.append(start.clone())
        self.proposals.append(proposals)
        self.deadlines.append(deadline)
        steps = torch.arange(3.0)[:, None]
        plans = start + 1 + steps
        return Plan(plans, torch.zeros_like(start), torch.zeros(len(start)), 0, elites=plans[:, None])


def counting(replan: int = 1) -> tuple[MPCAgent, Counting]:
    planner = Counting()
    return MPCAgent(Target(torch.zeros(2)), planner, BOUNDS, replan=replan), planner


def act(agent: MPCAgent, batch: int) -> Tensor:
    return agent.act(torch.zeros(batch, 5), NO_STATE, nothing)


def test_a_plan_is_followed_between_decisions_unless_it_is_dropped() -> None:
    often, rare = counting()[0], counting(replan=3)
    agent, planner = rare
    first = [act(agent, 1) for _ in range(3)]
    torch.testing.assert_close(torch.cat(first) - first[0], torch.arange(3.0)[:, None].expand(3, 2))
    assert len(planner.starts) == 1
    act(agent, 1)
    torch.testing.assert_close(planner.starts[1], first[2].expand(3, 2)[None])
    assert planner.proposals[1] is not None and len(planner.starts) == 2
    agent.forget(torch.tensor([True]))
    act(agent, 1)
    assert len(planner.starts) == 3
    torch.testing.assert_close(act(often, 1), first[0])


def test_a_plan_begins_in_the_middle_of_the_box_and_goes_on_shifted() -> None:
    agent, planner = counting()
    middle = torch.tensor([0.0, 0.5])
    torch.testing.assert_close(act(agent, 2), middle + torch.ones(2, 2))
    torch.testing.assert_close(planner.starts[0], middle.expand(2, 3, 2))
    act(agent, 2)
    expected = (middle + torch.tensor([2.0, 3.0, 3.0])[:, None]).expand(2, 3, 2)
    torch.testing.assert_close(planner.starts[1], expected)
    assert agent.plan is not None and agent.plan.actions.shape == (2, 3, 2)


@pytest.mark.parametrize("rows", [torch.tensor([True, False, True]), torch.tensor([0, 2])])
def test_keep_goes_on_with_some_episodes(rows: Tensor) -> None:
    agent, planner = counting()
    agent.keep(rows)  # nothing is planned yet
    act(agent, 3)
    agent._plan = torch.arange(3.0)[:, None, None].expand(3, 3, 2)
    agent.keep(rows)
    act(agent, 2)
    assert planner.starts[-1][:, 0, 0].tolist() == [0.0, 2.0]


def test_forget_drops_the_plans_of_some_episodes() -> None:
    agent, planner = counting()
    agent.forget(torch.tensor([True, True]))  # nothing is planned yet
    act(agent, 2)
    before = agent._plan
    agent.forget(torch.tensor([False, False]))
    assert agent._plan is before
    agent.forget(torch.tensor([True, False]))
    act(agent, 2)
    torch.testing.assert_close(planner.starts[-1][0], BOUNDS.middle.expand(3, 2))
    assert float(planner.starts[-1][1, 0, 0]) == 2.0


def test_reset_forgets_everything() -> None:
    agent, planner = counting()
    act(agent, 4)
    agent.reset()
    act(agent, 2)
    torch.testing.assert_close(planner.starts[-1], BOUNDS.middle.expand(2, 3, 2))


def test_elites_are_proposed_again_and_forgotten_with_the_plan() -> None:
    agent, planner = counting()
    act(agent, 2)
    assert planner.proposals == [None]
    agent.forget(torch.tensor([False, True]))
    act(agent, 2)
    found = planner.proposals[-1]
    assert found is not None
    torch.testing.assert_close(found[0, 0], planner.starts[-1][0])
    torch.testing.assert_close(found[1, 0], BOUNDS.middle.expand(3, 2))
    agent.keep(torch.tensor([True, False]))
    act(agent, 1)
    assert planner.proposals[-1] is not None and planner.proposals[-1].shape == (1, 1, 3, 2)
    agent.reset()
    act(agent, 1)
    assert planner.proposals[-1] is None


def test_time_is_given_to_each_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbtransfer.agent.perf_counter", lambda: 100.0)
    planner = Counting()
    agent = MPCAgent(Target(torch.zeros(2)), planner, BOUNDS, decision_ms=20.0)
    act(agent, 3)
    assert planner.deadlines == [pytest.approx(100.06)]


@pytest.mark.parametrize("name", ["mppi", "icem", "cem", "random_shooting", "hybrid"])
def test_every_planner_gets_to_the_target_and_a_warm_start_helps(name: str) -> None:
    target = torch.tensor([0.6, 0.2])
    settings = {"horizon": 4, "candidates": 64, "iterations": 1}
    if name == "random_shooting":
        del settings["iterations"]
    agent = MPCAgent(Target(target), make_planner(name, BOUNDS, settings), BOUNDS)
    gaps = [float((act(agent, 2) - target).norm(dim=1).mean()) for _ in range(12)]
    assert gaps[-1] < 0.35
    if name != "random_shooting":
        assert np.mean(gaps[-4:]) < gaps[0]


def test_a_seed_gives_the_same_actions() -> None:
    one, same, other = (
        MPCAgent(Target(torch.zeros(2)), make_planner("mppi", BOUNDS, {"horizon": 4}), BOUNDS, seed)
        for seed in (0, 0, 1)
    )
    for _ in range(3):
        first = act(one, 2)
        assert torch.equal(first, act(same, 2)) and not torch.equal(first, act(other, 2))


def test_the_action_box_of_an_environment() -> None:
    bounds = action_bounds(KITCHEN.spec)
    assert bounds.low.tolist() == [v.low for v in KITCHEN.spec.action]
    assert bounds.high.tolist() == [v.high for v in KITCHEN.spec.action]


class Exact(Imagination):
    """Imagines what `Pushed` simulates: every particle sees the same, true future."""

    def __init__(self, particles: int) -> None:
        self.particles = particles

    def __call__(self, obs: Tensor, actions: Tensor, generator: torch.Generator | None = None) -> Imagined:
        path = torch.cat([obs[:, None], obs[:, None] + actions.cumsum(dim=1)], dim=1).transpose(0, 1)
        path = path[:, None].expand(-1, self.particles, -1, -1)
        return Imagined(path, path, torch.ones(obs.shape[1]))


class Pushed(Scene):
    """A point that is pushed about; its state is time and place."""

    def __init__(self) -> None:
        self.observe = lambda states: states[..., 1:].astype(np.float32)

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        place = states[:, None, 1:] + np.cumsum(actions, axis=1)
        time = np.zeros((*place.shape[:2], 1))
        return np.concatenate([time, place], axis=-1)


def pull(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    """Depends on all three, and tells their order apart."""
    return -next_obs.norm(dim=-1) + 0.3 * obs[..., 0] - 0.2 * action[..., 1]


@pytest.mark.parametrize("particles", [1, 4])
def test_learned_and_true_world_agree_where_the_model_is_exact(
    particles: int, generator: torch.Generator
) -> None:
    place = torch.randn(3, 2, generator=generator)
    state = np.concatenate([np.zeros((3, 1)), place.numpy()], axis=1)
    plans = torch.randn(3, 7, 5, 2, generator=generator)
    learned = LearnedDynamics(Exact(particles)).objective(place, state, pull, generator)(plans)
    true = OracleDynamics(Pushed()).objective(place, state, pull, generator)(plans)
    assert learned.shape == (3, 7)
    torch.testing.assert_close(learned, true, atol=1e-4, rtol=1e-4)
    path = torch.cat([place[:, None, None].expand(-1, 7, -1, -1),
                      place[:, None, None] + plans.cumsum(dim=2)], dim=2)  # fmt: skip
    torch.testing.assert_close(true, pull(path[:, :, :-1], plans, path[:, :, 1:]).sum(dim=-1))


def test_goals_weigh_tasks_episode_by_episode_in_both_worlds(generator: torch.Generator) -> None:
    """Rows of one episode lie side by side: a mix-up of rows would change the returns."""
    tasks = [Toward("right", "", "user", 1.0), Toward("left", "", "user", -1.0)]
    goal = Goal(TrueRewards(tasks), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    place = torch.randn(3, 2, generator=generator)
    state = np.concatenate([np.zeros((3, 1)), place.numpy()], axis=1)
    plans = torch.randn(3, 7, 5, 2, generator=generator)
    learned = LearnedDynamics(Exact(2)).objective(place, state, goal, generator)(plans)
    true = OracleDynamics(Pushed()).objective(place, state, goal, generator)(plans)
    torch.testing.assert_close(learned, true, atol=1e-4, rtol=1e-4)
    x = (place[:, None, None] + plans.cumsum(dim=2))[..., 0].sum(dim=-1)
    torch.testing.assert_close(true, x * torch.tensor([[1.0], [-1.0], [0.0]]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["gradient", "hybrid"])
def test_the_simulator_has_no_gradients(name: str) -> None:
    bounds = Bounds(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))
    agent = MPCAgent(OracleDynamics(Pushed()), make_planner(name, bounds, {"horizon": 3}), bounds)
    with pytest.raises(UserError, match="needs gradients"):
        agent.act(torch.zeros(1, 2), np.zeros((1, 3)), pull)


@pytest.mark.parametrize("world", ["learned", "true"])
def test_a_policy_proposes_what_it_would_do(world: str) -> None:
    """It steers to the origin; in both worlds an action is a step."""

    def home(obs: Tensor) -> Tensor:
        return (-obs).clamp(-1, 1)

    dynamics = LearnedDynamics(Exact(2)) if world == "learned" else OracleDynamics(Pushed())
    planner = Counting()
    bounds = Bounds(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))
    agent = MPCAgent(dynamics, planner, bounds, seeding=Seeding(home, plans=4, noise=0.1))
    obs = torch.tensor([[1.5, -0.5], [0.0, 0.0]])
    agent.act(obs, np.concatenate([np.zeros((2, 1)), obs.numpy()], axis=1), nothing)
    found = planner.proposals[0]
    assert found is not None and found.shape == (2, 4, 3, 2)
    expected = torch.tensor([[-1.0, 0.5], [-0.5, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(found[0, 0], expected)
    assert not torch.equal(found[0, 1], found[0, 0]) and bool((found.abs() <= 1).all())


class Toward(Task):
    """Go along x."""

    def __init__(self, name: str, description: str, split: str, sign: float) -> None:
        super().__init__(name, description, split)
        object.__setattr__(self, "sign", sign)

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return self.sign * next_obs[..., 0]  # type: ignore[attr-defined]

    def success(self, obs: Tensor) -> Tensor:
        return self.sign * obs[..., 0] > 0  # type: ignore[attr-defined]


def test_losing_a_guarded_step_costs() -> None:
    rewards = TrueRewards([Toward("right", "", "user", 1.0), Toward("left", "", "user", -1.0)])
    assert isinstance(rewards, Rewards)
    after = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    action, active = torch.zeros(4, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    guarded = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    found = Goal(rewards, active, guarded)(after, action, after)
    assert found.tolist() == [1.0, -1.0, 1.0 - GUARD_WEIGHT, -1.0]
    for free in (None, torch.zeros(2, 2)):
        assert Goal(rewards, active, free)(after, action, after).tolist() == [1.0, -1.0, 1.0, -1.0]


def test_learned_heads_take_the_place_of_true_rewards(drifting: Callable[..., Model]) -> None:
    model, tasks = drifting(), [KITCHEN.task("drawer_open"), KITCHEN.task("tap_open")]
    heads = model.rewards(tasks)
    assert isinstance(heads, Rewards)
    obs, active = model.pool.obs[:500], torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    action = torch.zeros(500, 4)
    learned, true = (Goal(one, active)(obs, action, obs) for one in (heads, TrueRewards(tasks)))
    assert torch.corrcoef(torch.stack([learned, true]))[0, 1] > 0.95


def test_fresh_starts_leave_the_task_undone() -> None:
    scene, task = KITCHEN.make_scene(()), KITCHEN.task("drawer_open")
    states = fresh_states(scene, task, np.random.default_rng(0), 50)
    assert states.shape == (50, scene.state_size)
    assert bool(task.fresh(torch.from_numpy(scene.observe(states))).all())
    assert np.array_equal(states, fresh_states(scene, task, np.random.default_rng(0), 50))


class Always(Task):
    def success(self, obs: Tensor) -> Tensor:
        return torch.ones(obs.shape[:-1], dtype=torch.bool)


def test_a_task_that_is_always_done_has_no_start() -> None:
    with pytest.raises(TaskError, match="'easy': no start found"):
        fresh_states(KITCHEN.make_scene(()), Always("easy", "", "user"), np.random.default_rng(0), 2, tries=3)


def test_episodes_in_lock_step_are_those_of_the_simulator() -> None:
    scene, rng = KITCHEN.make_scene(()), np.random.default_rng(0)
    states = scene.sample_states(rng, 3)
    episodes = run_lockstep(scene, Noise(scene.spec, 3, rng), states, 5, tag="noise", seed=7)
    assert [len(e) for e in episodes] == [5, 5, 5]
    for episode, state in zip(episodes, states, strict=True):
        assert np.array_equal(episode.state[0], state)
        assert np.array_equal(episode.state[1:], scene.rollout(state[None], episode.actions[None])[0])
        assert np.array_equal(episode.obs, scene.observe(episode.state))
        assert (episode.behaviour, episode.seed, episode.terminated, episode.truncated) == (
            "noise",
            7,
            False,
            True,
        )


class Exploding(Pushed):
    """Its second episode diverges after two steps."""

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        after = super().rollout(states, actions)
        after[1] = np.where(after[1, :, 1:2] > 2.5, np.nan, after[1])
        return after


class Ones:
    def act(self, obs: np.ndarray, state: np.ndarray) -> np.ndarray:
        return np.ones((len(obs), 2))


def test_an_episode_that_diverges_ends_before_and_is_marked() -> None:
    long, short = run_lockstep(Exploding(), Ones(), np.zeros((2, 3)), 5, tag="x", seed=0)
    assert (len(long), long.terminated, long.truncated, long.diverged) == (5, False, True, False)
    assert (len(short), short.terminated, short.truncated, short.diverged) == (2, False, True, True)
    assert np.isfinite(short.state).all() and np.isfinite(short.obs).all()


@pytest.mark.parametrize("make_behaviour", [Noise, Babble])
def test_behaviours_are_a_function_of_their_seed(make_behaviour: Callable[..., Behaviour]) -> None:
    scene = KITCHEN.make_scene(())
    states = scene.sample_states(np.random.default_rng(0), 4)
    runs = []
    for seed in (1, 1, 2):
        behaviour = make_behaviour(scene.spec, 4, np.random.default_rng(seed))
        assert isinstance(behaviour, Behaviour)
        runs.append(run_lockstep(scene, behaviour, states, 8, tag="x", seed=seed))
    assert all(np.array_equal(a.state, b.state) for a, b in zip(runs[0], runs[1], strict=True))
    assert not np.array_equal(runs[0][0].state, runs[2][0].state)


def test_noise_is_a_slow_walk_of_unit_spread() -> None:
    noise = Noise(KITCHEN.spec, 400, np.random.default_rng(0), memory=0.9)
    steps = np.stack([noise.act(np.zeros((400, 1), np.float32), np.zeros((400, 1))) for _ in range(50)])
    assert steps.std() == pytest.approx(1.0, abs=0.05)
    assert (steps[1:] * steps[:-1]).mean() == pytest.approx(0.9, abs=0.05)


def travel(**settings: object) -> dict[str, float]:
    """How much of its range a babbling hand shows of each fixture in an episode, on average."""
    scene, rng = KITCHEN.make_scene(()), np.random.default_rng(3)
    babble = Babble(scene.spec, 12, rng, **settings)  # type: ignore[arg-type]
    episodes = run_lockstep(scene, babble, scene.sample_states(rng, 12), 60, tag="babble", seed=0)
    return {
        f.name: float(np.mean([np.ptp(e.obs[:, f.position]) for e in episodes]) / f.span)
        for f in scene.spec.fixtures
    }


def test_babbling_and_reaching_move_most_fixtures() -> None:
    for way in (travel(), travel(reach_only=True)):
        assert sum(share > 0.05 for share in way.values()) >= 5
    drawer = travel(fixtures=("drawer",))
    assert max(drawer, key=drawer.__getitem__) == "drawer"


def test_babbling_at_one_fixture_stays_with_it() -> None:
    spec = KITCHEN.spec
    babble = Babble(spec, 50, np.random.default_rng(0), fixtures=("tap",))
    scene = KITCHEN.make_scene(())
    obs = scene.observe(scene.sample_states(np.random.default_rng(1), 50))
    aim = obs[:, list(spec.fixture("tap").handle)]
    action = np.mean([babble.act(obs, np.zeros((50, 1)))[:, :3] for _ in range(10)], axis=0)
    along = (aim * action).sum(axis=1) / np.linalg.norm(aim, axis=1) / np.linalg.norm(action, axis=1)
    assert np.median(along) > 0.8 and np.abs(action).max() <= 1.0


def test_babbling_at_an_unknown_fixture_is_refused() -> None:
    with pytest.raises(TaskError, match="did you mean 'drawer'"):
        Babble(KITCHEN.spec, 1, np.random.default_rng(0), fixtures=("drawr",))
