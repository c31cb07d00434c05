"""Evaluation of controllers on tasks and recipes."""

from mbtransfer.evaluation.episodes import (
    evaluate_recipes,
    evaluate_tasks,
    play_episodes,
    success_rate,
)
from mbtransfer.evaluation.rollout import EpisodeRecord, StepCallback, StepInfo, play
from mbtransfer.mpc.controller import Controller, model_controller, simulator_controller

__all__ = [
    "Controller",
    "EpisodeRecord",
    "StepCallback",
    "StepInfo",
    "evaluate_recipes",
    "evaluate_tasks",
    "model_controller",
    "play",
    "play_episodes",
    "simulator_controller",
    "success_rate",
]
