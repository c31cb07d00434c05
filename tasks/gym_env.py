"""Gymnasium adapter: any environment and task as a `gymnasium.Env`."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from jaxtyping import Float, UInt8
from numpy import ndarray

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.registry import make
from tasks.render import Renderer
from tasks.spec import Variable
from tasks.task import Task

_TRIES = 200


class TaskEnv(gymnasium.Env[ndarray, ndarray]):
    """One task in one environment, for any tool that speaks Gymnasium.

    The reward is the task's shaped reward; `info["success"]` says whether the task is fulfilled now. Success
    does not terminate an episode: what is open shall stay open. `gymnasium.make` truncates it.

    Args:
        environment: a name that `tasks.registry.make` knows, or an environment.
        task: the name of one of its tasks, or any task made for its spec.
        render_mode: None or "rgb_array".
        camera: name of a camera; the first one by default.
        width: of pictures, in pixels.
        height: of pictures, in pixels.

    Raises:
        TaskError: no such environment or task.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        environment: str | Environment = "kitchen",
        task: str | Task = "microwave_open",
        render_mode: str | None = None,
        camera: str = "",
        width: int = 480,
        height: int = 320,
    ) -> None:
        world = make(environment) if isinstance(environment, str) else environment
        self.task = world.task(task) if isinstance(task, str) else task
        if not isinstance(self.task, Task):
            raise TaskError(f"{world.spec.name}: a task is a name or a Task, not {type(task).__name__}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise TaskError(f"no render mode {render_mode!r}; there is 'rgb_array', or None for no pictures")
        self.world_spec = world.spec
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / world.spec.control_dt)}
        self.observation_space = _box(world.spec.observation)
        self.action_space = _box(world.spec.action)
        self.scene = world.make_scene(())
        self._picture = (width, height, camera)
        self._renderer: Renderer | None = None
        self._obs: Float[ndarray, " O"] = np.zeros(world.spec.obs_size, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[ndarray, " O"], dict[str, Any]]:
        """A random start from which the task is still to be done.

        Args:
            seed: the same seed gives the same start, bit for bit.
            options: `{"fixtures": {name: position}}` puts fixtures there, the task done or not;
                `{"state": [S]}` starts from exactly this simulator state.

        Raises:
            TaskError: an unknown option or fixture, or hardly any start leaves the task undone.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := set(options) - {"fixtures", "state"}:
            raise TaskError(f"reset knows no option {sorted(unknown)[0]!r}; there are 'fixtures' and 'state'")
        if "state" in options:
            state = np.array(options["state"], np.float64)
            if state.shape != (self.scene.state_size,) or not np.isfinite(state).all():
                raise TaskError(f"reset: a state is {self.scene.state_size} finite numbers")
        else:
            state = self._start(options.get("fixtures"))
        self._obs = self.scene.set_state(state)
        return self._obs.copy(), self._report()

    def step(
        self, action: Float[ndarray, " A"]
    ) -> tuple[Float[ndarray, " O"], float, bool, bool, dict[str, Any]]:
        """Hold an action for one control step.

        Raises:
            TaskError: the action has not A finite columns, or the simulation diverges.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape:
            raise TaskError(f"an action has shape {self.action_space.shape}, not {action.shape}")
        before, self._obs = self._shown(), self.scene.step(action)
        reward = self.task.reward(before, torch.from_numpy(action), self._shown())
        return self._obs.copy(), float(reward), False, False, self._report()

    def render(self) -> UInt8[ndarray, "H W 3"] | None:
        """The picture of the state as it is now; None where `render_mode` is None.

        Raises:
            RenderUnavailable: no renderer works here.
        """
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = Renderer(self.scene, *self._picture)
        return self._renderer.frame(self.scene.get_state())

    def close(self) -> None:
        """Give the renderer back."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _start(self, place: dict[str, float] | None) -> Float[ndarray, " S"]:
        if place:
            return self.scene.sample_states(self.np_random, 1, place)[0]
        for _ in range(_TRIES):
            states = self.scene.sample_states(self.np_random, 8)
            fresh = self.task.is_valid_start(
                self.scene.observe_privileged(states, self.task.privileged)
            ).numpy()
            if fresh.any():
                return states[fresh.argmax()]
        raise TaskError(
            f"task {self.task.name!r}: no start found that leaves it undone; is its success always true?"
        )

    def _report(self) -> dict[str, Any]:
        return {"success": bool(self.task.success(self._shown()))}

    def _shown(self) -> torch.Tensor:
        return self.scene.observe_privileged(self.scene.get_state(), self.task.privileged)


def _box(variables: tuple[Variable, ...]) -> Box:
    low, high = (np.array([getattr(v, end) for v in variables], np.float32) for end in ("low", "high"))
    return Box(low, high, dtype=np.float32)
