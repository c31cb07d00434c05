"""Every kind of parameter that W&B's schema knows is searched, and reaches the command as W&B's agent writes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.cli.parser import parse
from mbtransfer.errors import UserError
from mbtransfer.sweep.parameters import SweepSpec, flat_values, nested, problems
from mbtransfer.sweep.runner import command_line
from mbtransfer.sweep.search import propose
from mbtransfer.sweep.trial import Trial

pytest.importorskip("optuna")

Holds = Callable[[Any], bool]

KINDS: dict[str, tuple[dict[str, Any], Holds]] = {
    "value": ({"value": 3}, lambda x: x == 3),
    "null": ({"value": None}, lambda x: x is None),
    "values": ({"values": [1, 2.5, "a", None]}, lambda x: x in (1, 2.5, "a", None)),
    "booleans": ({"values": [True, False]}, lambda x: x is True or x is False),
    "lists": ({"values": [[1, 2], [3]]}, lambda x: x in ([1, 2], [3])),
    "probabilities": ({"values": ["a", "b"], "probabilities": [0.5, 0.5]}, lambda x: x in ("a", "b")),
    "integers": ({"min": 1, "max": 5}, lambda x: x in range(1, 6)),
    "uniform": ({"min": 0.5, "max": 1.0}, lambda x: 0.5 <= x <= 1),
    "q_uniform": ({"distribution": "q_uniform", "min": 0, "max": 10, "q": 2}, lambda x: x in range(0, 11, 2)),
    "normal": ({"distribution": "normal", "mu": 9.0, "sigma": 0.1}, lambda x: 8 < x < 10),
    "q_normal": ({"distribution": "q_normal", "mu": 9.0, "q": 0.5}, lambda x: x * 2 == round(x * 2)),
    "log_normal": ({"distribution": "log_normal"}, lambda x: x > 0),
    "q_log_normal": ({"distribution": "q_log_normal", "q": 0.5}, lambda x: x * 2 == round(x * 2)),
    "log_uniform": ({"distribution": "log_uniform", "min": -3, "max": 0}, lambda x: math.exp(-3) <= x <= 1),
    "log_uniform_values": ({"distribution": "log_uniform_values", "min": 0.1, "max": 1}, lambda x: 0.1 <= x <= 1),
    "q_log_uniform": ({"distribution": "q_log_uniform", "min": 0, "max": 3}, lambda x: x in range(21)),
    "q_log_uniform_values": ({"distribution": "q_log_uniform_values", "min": 1, "max": 9}, lambda x: x in range(10)),
    "inv_log_uniform": ({"distribution": "inv_log_uniform", "min": 0, "max": 3}, lambda x: math.exp(-3) <= x <= 1),
    "inv_log_uniform_values": ({"distribution": "inv_log_uniform_values", "min": 1, "max": 9}, lambda x: 1 <= x <= 9),
    "beta": ({"distribution": "beta", "a": 2, "b": 3}, lambda x: 0 <= x <= 1),
    "q_beta": ({"distribution": "q_beta", "q": 0.25}, lambda x: x * 4 == round(x * 4)),
    "nested": (
        {"parameters": {"rate": {"min": 0.0, "max": 1.0}, "more": {"parameters": {"size": {"values": [1, 2]}}}}},
        lambda x: 0 <= x["rate"] <= 1 and x["more"]["size"] in (1, 2),
    ),
}  # fmt: skip

GRID = ("value", "null", "values", "booleans", "lists", "integers", "q_uniform")


def content(method: str, one: dict[str, Any]) -> dict[str, Any]:
    metric = {"name": "success", "goal": "maximize"}
    parameters = {"one": one, "other.one": {"values": [1, 2, 3]}}
    return {"program": "train.py", "method": method, "metric": metric, "parameters": parameters}


def tried(method: str, one: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of three trials."""
    asked, trials = content(method, one), list[Trial]()
    assert problems(asked) == []
    for number in range(3):
        params = propose(asked, trials, 0)
        assert params is not None
        trials.append(Trial(number, params, "finished", figures={"success": 0.1 * number}))
    return [trial.params for trial in trials]


@pytest.mark.parametrize("method", ["random", "bayes"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_searched(kind: str, method: str, tmp_path: Path) -> None:
    one, holds = KINDS[kind]
    for params in tried(method, one):
        assert set(params) == {"one", "other.one"} and holds(params["one"])
        line = command_line({"command": ["${args}"]}, params, tmp_path)
        assert line == [f"--one={params['one']}", f"--other.one={params['other.one']}"]


@pytest.mark.parametrize("kind", GRID)
def test_a_grid_goes_through_it(kind: str) -> None:
    one, holds = KINDS[kind]
    params = tried("grid", one)
    assert all(holds(one["one"]) for one in params)
    assert len({str(one) for one in params}) == 3


def test_what_a_grid_cannot_go_through_is_one_line() -> None:
    with pytest.raises(UserError, match="a grid needs values, which one") as caught:
        propose(content("grid", KINDS["uniform"][0]), [], 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "one", [{"min": 1, "max": 1}, {"min": 2.0, "max": 1.0}, {"values": []}, {"distribution": "x"}, 3]
)
def test_what_is_no_parameter_is_said(one: Any) -> None:
    assert problems(content("random", one))


@pytest.mark.parametrize("most", [10**6, "x"], ids=["huge", "text"])
def test_an_exponent_that_cannot_be_is_said(most: object) -> None:
    assert problems(content("random", {"distribution": "log_uniform", "min": 0, "max": most}))


def test_values_keep_their_shape_through_the_search() -> None:
    inner = {"b.c": {"value": 1}, "d": {"parameters": {"e": {"value": 2}}}}
    asked = content("random", {"value": 0}) | {
        "parameters": {"a": {"parameters": inner}, "a.x": {"value": 3}}
    }
    parameters = SweepSpec.model_validate(asked).parameters
    params = {"a": {"b.c": 1, "d": {"e": 2}}, "a.x": 3}
    assert flat_values(params, parameters) == {"a.b.c": 1, "a.d.e": 2, "a.x": 3}
    assert nested(flat_values(params, parameters), parameters) == params


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("${args}", ["--a=True", "--b=None", "--c=[1, 2]"]),
        ("${args_no_hyphens}", ["a=True", "b=None", "c=[1, 2]"]),
        ("${args_json}", ['{"a": true, "b": null, "c": [1, 2]}']),
        ("${args_no_boolean_flags}", ["--a", "--b=None", "--c=[1, 2]"]),
        ("${program}", ["train.py"]),
    ],
)
def test_macros_are_wandb_s(macro: str, words: list[str], tmp_path: Path) -> None:
    params = {"a": True, "b": None, "c": [1, 2]}
    assert command_line({"program": "train.py", "command": [macro]}, params, tmp_path) == words


@pytest.mark.parametrize("macro", ["${args}", "${args_no_boolean_flags}"])
def test_our_commands_understand_what_the_agent_writes(macro: str, tmp_path: Path) -> None:
    params = {"prepared": False, "compile": True, "seeds": [3, 4], "retry_after": None, "discount": 0.5}
    if macro == "${args_no_boolean_flags}":
        params["prepared"] = True  # a false one is left out
    found = parse(["evaluate", *command_line({"command": [macro]}, params, tmp_path)])
    assert (found.prepared, found.compile, found.seeds) == (params["prepared"], True, (3, 4))
    assert (found.retry_after, found.discount) == (None, 0.5)
