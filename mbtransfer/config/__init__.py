"""The settings of every command: fields are flags, their docstrings the help."""

from mbtransfer.config.act import EvaluateConfig, PlanConfig, ReportConfig, TasksConfig
from mbtransfer.config.data import (
    DatasetExportConfig,
    DatasetImportConfig,
    DatasetInfoConfig,
    DatasetStripConfig,
)
from mbtransfer.config.flags import (
    AtLeast,
    AtMost,
    DecisionFlags,
    MachineFlags,
    SearchFlags,
    TrackerFlags,
    cores,
)
from mbtransfer.config.learn import AdaptConfig, CollectConfig, DemoConfig, FitConfig, PrepareConfig
from mbtransfer.config.search import SweepConfig
from mbtransfer.config.trust import BenchConfig, BenchmarkConfig, CalibrationConfig, CheckConfig

__all__ = [
    "COMMANDS", "AdaptConfig", "AtLeast", "AtMost", "BenchConfig", "BenchmarkConfig", "CalibrationConfig",
    "CheckConfig", "CollectConfig", "DatasetExportConfig", "DatasetImportConfig", "DatasetInfoConfig",
    "DatasetStripConfig", "DecisionFlags", "DemoConfig", "EvaluateConfig", "FitConfig", "MachineFlags", "PlanConfig",
    "PrepareConfig", "ReportConfig", "SearchFlags", "SweepConfig", "TasksConfig", "TrackerFlags", "cores",
]  # fmt: skip

COMMANDS: dict[str, type] = {
    "demo": DemoConfig,
    "collect": CollectConfig,
    "fit": FitConfig,
    "evaluate": EvaluateConfig,
    "prepare": PrepareConfig,
    "adapt": AdaptConfig,
    "plan": PlanConfig,
    "check": CheckConfig,
    "calibration": CalibrationConfig,
    "sweep": SweepConfig,
    "bench": BenchConfig,
    "benchmark": BenchmarkConfig,
    "report": ReportConfig,
    "tasks": TasksConfig,
    "dataset info": DatasetInfoConfig,
    "dataset import": DatasetImportConfig,
    "dataset export": DatasetExportConfig,
    "dataset strip": DatasetStripConfig,
}
"""Every command and its settings, in the order of the help. Of two words: a command of a group."""
