"""An agent with a memory: it acts by a recurrent policy that sees its last action and what reward followed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.objective import Reward
from mbtransfer.transfer.model_free.trials import Trials
from planners.base import Bounds, Planner
from tasks.simulator import Simulator

if TYPE_CHECKING:
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy


@dataclass(frozen=True, eq=False)
class Memory:
    """What B agents remember.

    Attributes:
        hidden: the policy's recurrent state.
        cell: its other half.
        last: previous action (-1 to 1), its reward, and 1 where another episode begins: the last columns of what
            `Trials` shows.
    """

    hidden: Float[Tensor, "L B H"]
    cell: Float[Tensor, "L B H"]
    last: Float[Tensor, "B Y"]

    @classmethod
    def blank(cls, policy: "RecurrentActorCriticPolicy", actions: int) -> "Memory":
        """That of one agent that has seen nothing."""
        layers, _, width = policy.lstm_hidden_state_shape
        zero = torch.zeros(layers, 1, width, device=policy.device)
        return cls(zero, zero, torch.zeros(1, actions + 2, device=policy.device))

    def repeated(self, batch: int) -> "Memory":
        """The memory of one agent, given to a batch of them."""
        hidden, cell = (repeat(x, "l 1 h -> l b h", b=batch) for x in (self.hidden, self.cell))
        return Memory(hidden, cell, repeat(self.last, "1 y -> b y", b=batch))

    def of(self, rows: Tensor) -> "Memory":
        """That of some of the agents; `rows` is a mask or an index."""
        return Memory(self.hidden[:, rows], self.cell[:, rows], self.last[rows])


def respond(
    policy: "RecurrentActorCriticPolicy", obs: Float[Tensor, "B O"], memory: Memory, deterministic: bool
) -> tuple[Float[Tensor, "B A"], Memory]:
    """The next actions, from -1 to 1, and what is remembered after; `last` stays for the caller to set."""
    policy.set_training_mode(False)
    begun = obs.new_zeros(len(obs))  # the library would forget where this is one
    with torch.no_grad():
        inputs = torch.cat([obs, memory.last], dim=1)
        chosen, (hidden, cell) = policy.get_distribution(inputs, (memory.hidden, memory.cell), begun)
        actions = chosen.get_actions(deterministic=deterministic).clamp(-1.0, 1.0)
    return actions, Memory(hidden, cell, memory.last)


def practised(policy: "RecurrentActorCriticPolicy", trials: Trials, seed: int) -> Memory:
    """What one agent remembers after a trial, in which it explores by random draws from its policy.

    It draws from the global generator; see `stable_baselines.own_randomness`.
    """
    seen, _ = trials.reset(seed=seed)
    actions = trials.action_space.shape
    assert actions is not None
    memory, over = Memory.blank(policy, actions[0]), False
    columns = len(seen) - memory.last.shape[1]
    while not over:
        obs = torch.from_numpy(seen[None, :columns]).to(policy.device)
        action, memory = respond(policy, obs, memory, deterministic=False)
        seen, _, terminated, truncated, _ = trials.step(action[0].cpu().numpy())
        over = terminated or truncated
        memory = Memory(memory.hidden, memory.cell, torch.from_numpy(seen[None, columns:]).to(obs))
    last = memory.last.clone()
    last[:, -1] = 1.0  # what comes next is another episode
    return Memory(memory.hidden, memory.cell, last)


class RecurrentAgent(MPCAgent):
    """Acts by a recurrent policy, without a plan, in B episodes that begin with the same memory.

    Args:
        scene: shows what rewards are judged by.
        policy: the policy.
        memory: of one agent, at the start of each episode.
        planner: not asked, as there are no dynamics to plan in either.
        bounds: the action box.
        seed: not used: the agent's actions are the means of its policy.
        controller: makes it.
    """

    def __init__(
        self, controller: Controller, planner: Planner, bounds: Bounds, seed: int,
        policy: "RecurrentActorCriticPolicy", memory: Memory,
    ) -> None:  # fmt: skip
        super().__init__(controller.dynamics, planner, bounds, seed)
        self._scene: Simulator = controller.scene
        self._policy, self._first = policy, memory
        self._memory: Memory | None = None
        self._before: Tensor | None = None
        self._action: Tensor | None = None

    def reset(self) -> None:
        """See `MPCAgent.reset`."""
        super().reset()
        self._memory = self._before = self._action = None

    def keep(self, rows: Tensor) -> None:
        """See `MPCAgent.keep`."""
        super().keep(rows)
        if self._memory is not None:
            self._memory = self._memory.of(rows)
        self._before, self._action = (None if x is None else x[rows] for x in (self._before, self._action))

    def forget(self, rows: Bool[Tensor, " B"]) -> None:
        """See `MPCAgent.forget`; a task stays the same, and nothing is forgotten."""

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The policy's action in each episode."""
        privileged = bool(getattr(reward, "privileged", False))
        shown = self._scene.observe_privileged(state, privileged).to(obs.device) if privileged else obs
        memory = self._first.repeated(len(obs)) if self._memory is None else self._memory
        if self._before is not None and self._action is not None:
            earned = reward(self._before, self._action, shown)
            unit = (self._action - self.bounds.middle) / self.bounds.half
            last = torch.stack([earned.to(obs.dtype), torch.zeros_like(obs[:, 0])], dim=1)
            memory = Memory(memory.hidden, memory.cell, torch.cat([unit, last], dim=1))
        unit, self._memory = respond(self._policy, obs, memory, deterministic=True)
        self._before, self._action = shown, self.bounds.middle + self.bounds.half * unit
        return self._action


@dataclass(frozen=True, repr=False, kw_only=True)
class RecurrentController(Controller):
    """A controller that acts by a recurrent policy, whose episodes all begin with the same memory."""

    policy: "RecurrentActorCriticPolicy"
    memory: Memory

    def agent(self, seed: int) -> RecurrentAgent:
        """See `Controller.agent`."""
        bounds = action_bounds(self.environment.spec, self.device)
        return RecurrentAgent(self, self.make_planner(), bounds, seed, self.policy, self.memory)
