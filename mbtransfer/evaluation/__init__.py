"""Running tasks and recipes: who acts, what is asked for, who judges, and what it came to."""

from mbtransfer.evaluation.batch import Moment
from mbtransfer.evaluation.episodes import (
    evaluate_recipes,
    evaluate_tasks,
    play_episodes,
    success_rate,
)
from mbtransfer.evaluation.pilot import Pilot, learned_pilot, oracle_pilot
from mbtransfer.evaluation.play import Played, Watch, play

__all__ = [
    "Moment",
    "Pilot",
    "Played",
    "Watch",
    "evaluate_recipes",
    "evaluate_tasks",
    "learned_pilot",
    "oracle_pilot",
    "play",
    "play_episodes",
    "success_rate",
]
