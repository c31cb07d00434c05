"""A prepared policy as one ONNX file, for machines without PyTorch."""

import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.task_policy import Prepared
from mbtransfer.runtime.files import write_bytes
from tasks.spec import EnvSpec

INPUT, OUTPUT = "obs", "action"
"""Names of the input [batch, O] and of the output [batch, A]."""

STATES = 1000
"""States of the pool in which the file is compared with the policy."""

TOLERANCE = 1e-5
"""Largest difference of actions, as a share of half of each column's range: two ways to round in float32."""


class Exported(NamedTuple):
    """An ONNX file.

    Attributes:
        path: where it is.
        size: bytes.
        states: states in which its actions were compared with those of the policy.
        difference: largest difference found there, as a share of half of each column's range.
    """

    path: Path
    size: int
    states: int
    difference: float


class _Acting(nn.Module):
    """The whole way from observation to action, with normalisation and bounds."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self.actor = prepared.actor
        self.register_buffer("action_middle", prepared.bounds.middle)
        self.register_buffer("action_half", prepared.bounds.half)

    def forward(self, obs: Float[Tensor, "batch O"]) -> Float[Tensor, "batch A"]:
        """The action in each state, in the environment's units."""
        action: Tensor = self.action_middle + self.actor(obs) * self.action_half
        return action


def export_onnx(prepared: Prepared, spec: EnvSpec, states: Float[Tensor, "N O"], path: Path) -> Exported:
    """Write the policy as an ONNX file, after its actions were found to be the same in ONNX Runtime.

    The file takes observations in the units of the environment and gives actions within its bounds. Its metadata say
    for which task, environment, model and control step it is.

    Args:
        prepared: on the CPU.
        spec: the environment's.
        states: where the actions are compared; at most `STATES` of them are used.
        path: where to write.

    Raises:
        UserError: the extra is not installed, or the file cannot be written.
        RuntimeError: the actions differ.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 (PyTorch's exporter needs it)
    except ImportError as error:
        raise UserError("export needs onnx and onnxruntime: pip install 'mbtransfer[export]'") from error
    acting = _Acting(prepared).eval()
    rows = states[torch.linspace(0, len(states) - 1, min(len(states), STATES)).long()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about its own exporter
        program = torch.onnx.export(
            acting, (rows[:2],), input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False,
            dynamic_shapes={"obs": {0: torch.export.Dim("batch")}},
        )  # fmt: skip
    assert program is not None
    made = program.model_proto
    about = {
        "task": prepared.task, "environment": spec.name, "model": prepared.model,
        "control_dt": str(spec.control_dt), "notes": json.dumps(prepared.notes),
    }  # fmt: skip
    onnx.helper.set_model_props(made, about)
    data = made.SerializeToString()
    run = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = acting(rows).numpy()
    found = run.run([OUTPUT], {INPUT: rows.numpy()})[0]
    difference = float((np.abs(found - wanted) / prepared.bounds.half.numpy()).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"actions in ONNX Runtime differ by {difference:.1e} of half their range")
    write_bytes(path, data)
    return Exported(path, len(data), len(rows), difference)
