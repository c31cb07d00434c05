"""Task policies and value functions, trained without a step in the environment."""

from mbtransfer.mpc.task_policy import (
    MultiTaskPolicy,
    Prepared,
    load_prepared,
    prepared_digest,
    prepared_path,
)
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig
from mbtransfer.training.policy.commands import prepare_commands
from mbtransfer.training.policy.train import Method, PolicyProgress, Report, prepare

__all__ = [
    "Method",
    "MultiTaskPolicy",
    "PolicyProgress",
    "PolicyTrainingConfig",
    "Prepared",
    "Report",
    "load_prepared",
    "prepare",
    "prepare_commands",
    "prepared_digest",
    "prepared_path",
]
