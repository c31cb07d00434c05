"""A server and robots in one process: what they are answered, and what happens when something goes wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.model import Model
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.serve.client import RobotClient
from mbtransfer.serve.server import RobotServer
from planners.base import Plan
from tests.mbtransfer.serve.running import DEADLINE, SAFE, TASK, TOKEN, Running, context_of, seen


def test_a_robot_gets_the_actions_that_the_agent_would_take(robot: RobotClient, model: Model) -> None:
    assert robot.pursue(task=TASK)["goal"].startswith("move(drawer")
    context, task = context_of(model), model.environment.move("drawer", 0.2)
    agent = context.controller.agent(0)
    goal = TaskReward(context.controller.rewards([task]), torch.ones(1, 1))
    for row in range(3):
        answer = robot.act(seen(model, row))
        action = agent.act(model.pool.obs[row][None].float(), np.zeros((1, 0)), goal)[0]
        assert not answer["safe"] and answer["action"] == action.tolist(), answer
        assert answer["plan"][0] == answer["action"] and len(answer["plan"]) == 4
        assert answer["plan_steps_old"] == 0 and answer["plan_ms_old"] >= answer["decision_ms"] > 0
        assert 0 <= answer["doubt"] <= 1 and len(answer["doubt_along_plan"]) == 4
    robot.reset()


def test_a_robot_is_told_what_it_needs_to_know(robot: RobotClient, model: Model) -> None:
    spec = model.environment.spec
    assert robot.hello["environment"] == spec.name and robot.hello["safe_action"] == list(SAFE)
    assert robot.hello["observation"] == [variable.name for variable in spec.observation]
    assert [one["high"] for one in robot.hello["action"]] == [variable.high for variable in spec.action]


def test_without_a_goal_it_gets_the_safe_action(robot: RobotClient, model: Model) -> None:
    answer = robot.act(seen(model))
    assert (answer["action"], answer["fault"], answer["why"]) == (list(SAFE), "idle", "no goal")
    assert answer["plan"] == [] and answer["plan_steps_old"] is None


def test_a_broken_sensor_is_named_and_what_is_left_of_the_plan_is_sent(
    robot: RobotClient, model: Model
) -> None:
    robot.pursue(task=TASK)
    plan = robot.act(seen(model))["plan"]
    for lost, value in enumerate((float("nan"), float("inf"), 1e300), start=1):
        answer = robot.act([*seen(model)[:-1], value])
        assert answer["action"] == list(SAFE) and answer["fault"] == "blind"
        assert model.environment.spec.observation[-1].name in answer["why"]
        assert answer["plan"] == plan[lost:] and answer["plan_steps_old"] == lost


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda robot: robot.act([0.0, 1.0]), "the observation has 2 values; the model knows"),
        (lambda robot: robot.pursue(task="drawer_opne"), "did you mean 'drawer_open'"),
        (lambda robot: robot.pursue(task="move(drawer, 7)"), "7"),
        (lambda robot: robot.pursue(task="/etc/secret.csv"), "label files are given at the start"),
        (lambda robot: robot.pursue(recipe="/etc/secret.yaml"), "files are given at the start"),
        (lambda robot: robot.pursue(recipe="breakfast", step=99), "recipe breakfast has no step '99'"),
        (lambda robot: robot.pursue(), "a goal is a task or a recipe"),
    ],
)
def test_a_mistake_is_one_line_and_the_server_goes_on(
    robot: RobotClient, model: Model, ask: Callable[[RobotClient], Any], line: str
) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        ask(robot)
    assert "\n" not in str(raised.value) and "unexpected" not in str(raised.value)
    robot.pursue(task=TASK)
    assert not robot.act(seen(model))["safe"]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01", "text", msgpack.packb({"type": "fly"})])
def test_what_is_no_message_is_told(running: Running, data: bytes | str) -> None:
    with connect(running.address, proxy=None) as stranger:
        stranger.recv()
        stranger.send(data)
        answer = msgpack.unpackb(stranger.recv())
    assert answer["type"] == "error" and "a message is a map" in answer["error"]


def test_a_step_of_a_recipe_is_a_goal(robot: RobotClient, model: Model) -> None:
    assert robot.pursue(recipe="breakfast")["goal"] == "breakfast"
    answer = robot.act(seen(model))
    assert not answer["safe"] and answer["goal"]
    assert robot.pursue(recipe="breakfast", step=1)["goal"] in model.environment.tasks


def test_a_robot_that_leaves_in_the_middle_is_forgotten(running: Running, model: Model) -> None:
    stayed, left = running.robot(), running.robot()
    stayed.pursue(task=TASK)
    left.pursue(task=TASK)
    left._socket.send(msgpack.packb({"type": "observe", "id": 1, "obs": seen(model)}))
    left._socket.socket.shutdown(socket.SHUT_RDWR)
    for row in range(5):
        assert not stayed.act(seen(model, row))["safe"]
    stayed.close()
    for _ in range(200):
        if not running.service.robots:
            break
        running.do(asyncio.sleep(0.02))
    assert not running.service.robots and any("has gone" in line for line in running.told)


def test_bad_plans_never_reach_a_robot(
    running: Running, robot: RobotClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.pursue(task=TASK)
    pursuit = running.service.robots[robot.hello["robot"]].pursuit
    assert pursuit is not None
    inner = pursuit.agent.planner

    def planted(value: float) -> Callable[..., Plan]:
        def plan(*given: Any, **more: Any) -> Plan:
            made = inner.plan(*given, **more)
            actions = made.actions.clone()
            actions[0, -1, 0] = value
            return Plan(actions, made.std, made.best_return, 0)

        return plan

    for value, fault in ((float("nan"), "not_finite"), (1.01, "out_of_bounds")):
        for row in range(20):
            bad = type("Bad", (), {"horizon": inner.horizon, "plan": staticmethod(planted(value))})()
            monkeypatch.setattr(pursuit.agent, "planner", bad)
            answer = robot.act(seen(model, row))
            assert answer["action"] == list(SAFE) and answer["fault"] == fault
    monkeypatch.setattr(pursuit.agent, "planner", None)
    answer = robot.act(seen(model))
    assert answer["fault"] == "failed" and "unexpected" in answer["why"] and answer["action"] == list(SAFE)
    monkeypatch.setattr(pursuit.agent, "planner", inner)
    assert not robot.act(seen(model))["safe"]


def test_messages_are_worked_on_in_their_order(
    running: Running, robot: RobotClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset and an observation that come together: the observation is already of the new episode."""
    robot.pursue(task=TASK)
    pursuit = running.service.robots[robot.hello["robot"]].pursuit
    assert pursuit is not None
    done, restart, advance = list[str](), pursuit.restart, pursuit.advance
    monkeypatch.setattr(pursuit, "restart", lambda: (done.append("reset"), restart()))
    monkeypatch.setattr(pursuit, "advance", lambda obs: (done.append("observe"), advance(obs))[1])
    for kind in ("observe", "reset", "observe", "reset", "observe"):
        robot._socket.send(msgpack.packb({"type": kind, "obs": seen(model), "id": kind}))
    answered = [msgpack.unpackb(robot._socket.recv(DEADLINE))["id"] for _ in range(5)]
    assert done == ["observe", "reset", "observe", "reset", "observe"] and sorted(answered) == sorted(done)


def test_a_planner_that_is_late_is_not_waited_for(
    running: Running, robot: RobotClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.pursue(task=TASK)
    held = threading.Event()
    running.service._planner.submit(held.wait)
    monkeypatch.setattr(running.service.watchdog, "deadline", 0.05)
    answer = robot.act(seen(model))
    assert answer["fault"] == "late" and answer["action"] == list(SAFE)
    held.set()
    monkeypatch.setattr(running.service.watchdog, "deadline", DEADLINE)
    assert not robot.act(seen(model))["safe"]


def test_the_model_is_changed_between_two_decisions(
    running: Running, robot: RobotClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.pursue(recipe="breakfast")
    before = robot.act(seen(model))
    other = Model(model.environment, model.dynamics, model.pool[:500], model.coverage, model.notes)
    monkeypatch.setattr(running, "model", other)
    assert robot.reload()["model"] == other.digest != before["model"]
    after = robot.act(seen(model))
    assert after["model"] == other.digest and not after["safe"] and after["goal"] == before["goal"]


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(
    running: Running, robot: RobotClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.pursue(task=TASK)
    digest = running.service.loaded.digest

    def broken() -> EvalContext:
        raise UserError("the model is damaged")

    monkeypatch.setattr(running.service, "_load", broken)
    with pytest.raises(ValueError, match="the model is damaged"):
        robot.reload()
    running.do(running.server.reload())
    assert running.told[-1] == "the model stays: the model is damaged"
    assert robot.act(seen(model))["model"] == digest


def test_health_and_metrics(running: Running, robot: RobotClient, model: Model) -> None:
    robot.act(seen(model))
    status, text = running.get("/health")
    assert status == 200 and json.loads(text)["status"] == "ok" and json.loads(text)["robots"] >= 1
    status, text = running.get("/metrics")
    assert status == 200 and 'mbtransfer_safe_actions_total{fault="late"}' in text
    assert "mbtransfer_answer_seconds_bucket" in text
    assert running.get("/elsewhere")[0] == 404


def test_a_page_in_a_browser_cannot_steer(running: Running) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(running.address, origin="http://127.0.0.1", proxy=None)


def test_a_taken_port_is_told(running: Running) -> None:
    other = RobotServer(running.service, print)
    with pytest.raises(UserError, match=f"port {running.port} of 127.0.0.1 cannot be had .*--port"):
        running.do(other.start("127.0.0.1", running.port))


def test_a_token_is_asked_for_and_too_much_doubt_stops_a_robot(model: Model) -> None:
    running = Running(model, token=TOKEN, most_doubt=0.0)
    try:
        for wrong in (None, "another-token-of-that-length", ""):
            with pytest.raises(InvalidStatus, match="401"):
                running.robot(wrong)
            assert running.get("/metrics", wrong)[0] == 401
        assert running.get("/metrics", TOKEN)[0] == running.get("/health")[0] == 200
        robot = running.robot(TOKEN)
        robot.pursue(task=TASK)
        running.service.watchdog.most_doubt = -1.0  # below any doubt
        answer = robot.act(seen(model))
        assert answer["fault"] == "doubt" and answer["action"] == list(SAFE)
        robot.close()
    finally:
        running.stop()
