from __future__ import annotations

from typing import Any

import pytest

from tasks.environment import Environment
from tasks.simulator import Simulator

pytest.importorskip("gymnasium_robotics")


@pytest.fixture(scope="package")
def franka() -> Environment:
    from tasks.registry import make

    return make("franka_kitchen")


@pytest.fixture(scope="package")
def franka_scene(franka: Environment) -> Simulator:
    return franka.make_scene(())


@pytest.fixture(scope="package")
def theirs() -> Any:
    """FrankaKitchen-v1 of gymnasium-robotics with its noise off."""
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS, KitchenEnv

    return KitchenEnv(
        tasks_to_complete=list(OBS_ELEMENT_GOALS), robot_noise_ratio=0.0, object_noise_ratio=0.0,
        terminate_on_tasks_completed=False, remove_task_when_completed=True,
    )  # fmt: skip
