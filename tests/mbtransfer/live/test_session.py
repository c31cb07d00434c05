"""A session is given work, steps, is pushed about, and says how things stand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbtransfer.evaluation.config import EvalContext
from mbtransfer.live.recipe_text import read_recipe
from mbtransfer.live.session import LiveSession, Moment, Search, Status
from planners.errors import PlannerError
from tasks.errors import TaskError
from tasks.recipe.recipe import Recipe

FIXTURE = "drawer"


def run(session: LiveSession, steps: int) -> list[Moment]:
    moments = (session.step() for _ in range(steps))
    return [moment for moment in moments if moment is not None]


def point_away(session: LiveSession) -> tuple[float, float, float]:
    """Half a metre from the hand, in free space."""
    x, y, z = session.obs()[list(session.spec.hand)]
    return (float(x) - 0.5 if x > 0 else float(x) + 0.5, float(y), float(z))


def test_a_reach_is_done_and_said_to_be(session: LiveSession) -> None:
    assert session.step() is None and session.status is Status.IDLE
    session.give(session.find("reach({:.2f}, {:.2f}, {:.2f})".format(*point_away(session))))
    moments = run(session, 60)
    assert moments[-1].status is Status.DONE and moments[-1].fulfilled and not moments[-1].why
    assert [moment.number for moment in moments] == list(range(1, len(moments) + 1))
    assert session.step() is None and not session.running
    assert moments[0].outlook.chance < 0.5 < moments[-1].outlook.chance


def test_the_outlook_says_where_the_hand_goes(session: LiveSession) -> None:
    """The model's hand is exact, so that the plan's first point is where the hand was and its second where it is."""
    before = session.obs()[list(session.spec.hand)]
    session.give(session.find("reach({:.2f}, {:.2f}, {:.2f})".format(*point_away(session))))
    moment = run(session, 1)[0]
    hand, fan = moment.outlook.hand, moment.outlook.fan
    assert hand is not None and hand.shape == (7, 3) and fan is not None and fan.shape[1:] == (7, 3)
    np.testing.assert_allclose(hand[0], before, atol=1e-6)
    np.testing.assert_allclose(fan[:, 0], np.tile(before, (len(fan), 1)), atol=1e-6)
    np.testing.assert_allclose(hand[1], before + 0.06 * moment.action[:3], atol=1e-5)
    end = fan[:, -1] - hand[-1]
    assert np.linalg.norm(end[0]) <= np.linalg.norm(end, axis=1).max()
    assert moment.outlook.disagreement is None  # this model has no scale


def test_work_that_cannot_be_done_fails_in_time(context: EvalContext) -> None:
    session = LiveSession(context, seed=1)
    session.give(session.find("reach({:.2f}, {:.2f}, {:.2f})".format(*point_away(session))))
    session._monitor.limit, start = 5, session.state.copy()
    moments = []
    for _ in range(5):
        assert session._batch is not None
        session._batch.displace(start[None])  # somebody holds the hand where it is
        moments += run(session, 1)
    assert [moment.status for moment in moments] == [Status.RUNNING] * 4 + [Status.FAILED]
    assert moments[-1].why == "not done after 5 control steps" and not session.running
    assert moments[-1].cause.startswith("most likely the search (at best 0% likely)")


def test_a_push_moves_the_fixture_alone(session: LiveSession) -> None:
    column, before = session.spec.fixture(FIXTURE).position, session.obs()
    session.push(FIXTURE, 0.2)
    after = session.obs()
    assert after[column] == pytest.approx(0.2)
    others = [fixture.position for fixture in session.spec.fixtures if fixture.name != FIXTURE]
    np.testing.assert_array_equal(after[[*session.spec.hand, *others]], before[[*session.spec.hand, *others]])
    with pytest.raises(TaskError, match=r"drawer cannot move to 9.0; its range is"):
        session.push(FIXTURE, 9.0)


def test_the_robot_sees_a_push_while_it_works(session: LiveSession) -> None:
    session.give(session.find("reach({:.2f}, {:.2f}, {:.2f})".format(*point_away(session))))
    run(session, 1)
    session.push(FIXTURE, 0.25)
    moment = run(session, 1)[0]
    assert moment.outlook.obs[0, session.spec.fixture(FIXTURE).position] == pytest.approx(0.25)


def test_what_is_held_is_done_again_after_a_push(session: LiveSession) -> None:
    """Held work does not end: it is done, undone by a push, and not done any more."""
    session.hold = True
    session.push(FIXTURE, 0.2)
    session.give(session.find(f"move({FIXTURE}, 0.2)"))
    moments = run(session, 4)
    assert Status.DONE in [moment.status for moment in moments] and session.running
    session.push(FIXTURE, 0.0)
    moment = run(session, 1)[0]
    assert not moment.fulfilled and moment.status is Status.RUNNING and moment.outlook.obs[0, 12] != 0.2


def test_ghosts_are_where_the_model_expects_things(session: LiveSession) -> None:
    session.give(session.find("reach(drawer)"))
    moment = run(session, 1)[0]
    expected = session.expected(moment.outlook)
    assert expected is not None
    seen = session.scene.observe(expected[None])[0]
    for fixture in session.spec.fixtures:
        assert seen[fixture.position] == pytest.approx(moment.outlook.obs[-1, fixture.position], abs=1e-5)


def test_watching_changes_no_decision(context: EvalContext, session: LiveSession) -> None:
    """From the same start, with the same goal and the same seed an agent that nobody watches acts likewise."""
    session.give(session.find("reach(drawer)"))
    assert session._batch is not None
    alone, start = context.controller.agent(1), session.state[None]
    obs = torch.from_numpy(session.obs())[None]
    for _ in range(3):
        wanted = alone.act(obs, start, session._monitor.goal())
        moment = run(session, 1)[0]
        np.testing.assert_array_equal(moment.action, wanted[0].numpy())
        obs, start = torch.from_numpy(moment.obs)[None], moment.state[None]


def test_another_search_holds_from_the_next_step(session: LiveSession) -> None:
    session.give(session.find("reach(drawer)"))
    run(session, 2)
    session.set_search(Search("mppi", 32, 9))
    moment = run(session, 1)[0]
    assert moment.number == 3 and len(moment.outlook.obs) == 10
    with pytest.raises(PlannerError, match="no planner 'mpi'; did you mean 'mppi'"):
        session.set_search(Search("mpi"))
    assert session.search == Search("mppi", 32, 9) and len(run(session, 1)[0].outlook.obs) == 10


def test_a_recipe_runs_step_by_step(session: LiveSession) -> None:
    first = "[{:.2f}, {:.2f}, {:.2f}]".format(*point_away(session))
    text = f"name: two\nsteps:\n  - reach: {first}\n    timeout: 40\n  - reach: drawer\n    timeout: 40\n"
    recipe = read_recipe(text, session.model.environment)
    assert isinstance(recipe, Recipe)
    session.give(recipe)
    moments = run(session, 80)
    assert moments[-1].status is Status.DONE
    assert list(dict.fromkeys(moment.goal for moment in moments))[:2] == [step.label for step in recipe.steps]


def test_a_reset_and_a_stop_drop_the_work(session: LiveSession) -> None:
    start = session.state.copy()
    session.give(session.find("reach(drawer)"))
    session.stop()
    assert session.step() is None and session.status is Status.IDLE
    session.reset()
    assert (session.state != start).any() and session.asked is None
