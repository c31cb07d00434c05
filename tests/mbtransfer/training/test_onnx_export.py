"""A prepared policy as an ONNX file: the same actions, no PyTorch needed, and clear lines where it cannot be."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.training.policy import PolicyTrainingConfig, Prepared, prepare
from mbtransfer.training.policy.onnx_export import INPUT, OUTPUT, export_onnx

needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="needs the extra `export`",
)


def prepared(model: Model, **config: float) -> Prepared:
    """A policy of one update, deterministic or not."""
    task = model.environment.task("drawer_half")
    training = PolicyTrainingConfig(horizon=2, rows=4, **config)  # type: ignore[arg-type]
    return prepare(model, task, 0.0, labels=200, config=training)


@needs_extra
@pytest.mark.parametrize("config", [{}, {"temperature": 0.01}], ids=["deterministic", "stochastic"])
def test_the_file_acts_as_the_policy_does(
    drifting: Callable[..., Model], tmp_path: Path, config: dict[str, float]
) -> None:
    import onnxruntime

    model = drifting()
    one, spec = prepared(model, **config), model.environment.spec
    done = export_onnx(one, spec, model.pool.obs, tmp_path / "policy.onnx")
    run = onnxruntime.InferenceSession(str(done.path))
    for rows in (1, 7):
        obs = model.pool.obs[:rows]
        (action,) = run.run([OUTPUT], {INPUT: obs.numpy()})
        np.testing.assert_allclose(action, one.policy(obs).numpy(), atol=1e-5)
    about = run.get_modelmeta().custom_metadata_map
    assert about["task"] == "drawer_half" and about["environment"] == spec.name
    assert float(about["control_dt"]) == spec.control_dt and about["model"] == model.digest


@needs_extra
def test_a_policy_that_cannot_be_the_same_is_not_written(
    drifting: Callable[..., Model], tmp_path: Path
) -> None:
    model = drifting()
    states = torch.full_like(model.pool.obs[:5], torch.nan)
    with pytest.raises(RuntimeError, match="differ"):
        export_onnx(prepared(model), model.environment.spec, states, tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


@needs_extra
def test_the_command_exports_what_was_prepared(
    drifting: Callable[..., Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "model", tmp_path / "policy.onnx"
    model = drifting()
    model.save(folder)
    line = ["export", "--model", str(folder), "--task", "drawer_half", "--out", str(out)]
    assert main(line) == 2
    assert "mbtransfer prepare" in capsys.readouterr().err and not out.exists()
    prepared(model).save(folder)
    assert main(line) == 0
    assert "largest difference" in capsys.readouterr().out and out.is_file()


def test_without_the_extra_it_says_what_to_install(
    drifting: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = drifting()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'mbtransfer\[export\]'"):
        export_onnx(prepared(model), model.environment.spec, model.pool.obs, tmp_path / "policy.onnx")
