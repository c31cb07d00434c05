"""Training of one policy for all commands to the body, in imagination; see `mbtransfer.mpc.command_policy`."""

from dataclasses import asdict, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.command_policy import CommandPolicy, Commands
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, Trainer, World
from mbtransfer.training.policy.train import Report, repeat
from world_models.dynamics.rollout import Imagination

ROWS = 100
"""Roll-outs of each member per update: each has another command."""

REDRAWN = 500
"""Updates after which all start states get new commands."""


class CommandedWorld:
    """A world whose observations end in a command that never changes.

    Args:
        world: without commands.
        obs_size: O, without the command.
    """

    def __init__(self, world: World, obs_size: int) -> None:
        self._world, self._size = world, obs_size
        self.particles = world.particles

    def step(self, obs: Float[Tensor, "P W R"], action: Float[Tensor, "P A R"]) -> Float[Tensor, "P W R"]:
        """See `World.step`."""
        ahead = self._world.step(obs[:, : self._size].contiguous(), action)
        return torch.cat([ahead, obs[:, self._size :]], dim=1)


def prepare_commands(
    model: Model, seconds: float, *, updates: int | None = None, config: PolicyTrainingConfig | None = None,
    seed: int = 0, report: Report | None = None,
) -> CommandPolicy:  # fmt: skip
    """Train the policy; roll-outs start from the pool with random commands.

    Args:
        model: the fitted model.
        seconds: training time; at least one update is made.
        updates: maximum number of updates; if reached before `seconds`, the result does not depend on the clock.
        config: settings of the training.
        seed: seed of all randomness.
        report: called with the progress.

    Raises:
        UserError: the environment's body has no columns that could be commanded.
    """
    config, obs = config or replace(PolicyTrainingConfig(), rows=ROWS), model.pool.obs
    commands, size = Commands.of(model.environment, obs), obs.shape[1]
    generator = torch.Generator(obs.device).manual_seed(seed)

    def commanded() -> Tensor:
        return torch.cat([obs, commands.draw(len(obs), generator)], dim=1)

    def reward(before: Tensor, action: Tensor, after: Tensor) -> Tensor:
        return commands.reward(after[..., size:], after[..., :size])

    world = CommandedWorld(Imagination(model.dynamics, len(model.dynamics.elites)), size)
    bounds = action_bounds(model.environment.spec, model.device)
    trainer = Trainer(world, reward, (0.0, 1.0), commanded(), bounds, config, seed)
    count = 0

    def update() -> float:
        nonlocal count
        if count and not count % REDRAWN:
            trainer.start_from(commanded())
        count += 1
        return trainer.update()

    done = repeat(update, seconds, updates, report=report)
    notes = {
        "updates": done.updates, "seconds": done.seconds, "seed": seed, "imagined": done.reward,
        "config": asdict(config),
    }  # fmt: skip
    return CommandPolicy(commands, trainer.actor.requires_grad_(False), bounds, model.digest, notes)
