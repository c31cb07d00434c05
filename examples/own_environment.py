"""An environment of your own: learn it once, then ask it for several things. `python examples/own_environment.py`."""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import tyro

from mbtransfer import Task, collect_data, evaluate_tasks, fit_model, make, model_controller, success_rate


class Puck(gymnasium.Env):
    """A puck on an air table, pushed by two thrusters; it bounces off the rim, and a fan blows it along x."""

    columns = ("x", "y", "x_velocity", "y_velocity")
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.velocity = self.np_random.uniform(-0.9, 0.9, 2), np.zeros(2)
        return self.seen(), {}

    def step(self, action):
        speed = 0.9 * self.velocity + 0.03 * action + (0.005, 0.0)
        self.velocity = np.where(abs(self.at + speed) > 1.0, -0.5 * speed, speed)
        self.at += self.velocity
        return self.seen(), -float(np.linalg.norm(self.at)), False, False, {}

    def seen(self):
        return np.concatenate([self.at, self.velocity]).astype(np.float32)


@dataclass(frozen=True)
class Park(Task):
    """Bring the puck to `place`."""

    place: tuple[float, float]

    def reward(self, obs, action, next_obs):
        return -(next_obs[..., :2] - next_obs.new_tensor(self.place)).norm(dim=-1)

    def success(self, obs):
        return self.reward(obs, None, obs) > -0.1


def main(out: Path = Path("runs/puck"), steps: int = 10_000, episodes: int = 5) -> None:
    """Collect noise, fit one model, and park in places that were never rewarded."""
    table = make(f"gym:{__file__}:Puck")
    model = fit_model(table, collect_data(table, out / "data", steps), out / "model")
    controller = model_controller(table, model.dynamics, rewards=model.rewards)
    for place in ((0.0, 0.0), (0.7, 0.7), (-0.7, 0.3)):
        rows = evaluate_tasks(controller, [Park(f"park at {place}", "", "user", place)], episodes=episodes)
        print(f"{rows[0].task}: {success_rate(rows):.0%} of {episodes} episodes")


if __name__ == "__main__":
    tyro.cli(main)
