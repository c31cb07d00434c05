"""RL2: a recurrent policy whose memory learns the task within a few of its episodes.

Duan et al. 2016, "RL2: fast reinforcement learning via slow reinforcement learning", section 2; Wang et al. 2016,
"Learning to reinforcement learn". What is trained, by proximal policy optimisation on trials of several episodes of one
source task each (`mbtransfer.transfer.model_free.trials`), is how to learn:

    max over pi of  mean_k E sum over a trial of discount^t r_k,t,   a_t = pi(o_1, a_1, r_1, d_1, ..., o_t)

In a target nothing is trained: the episodes of practice are a trial, and what the policy remembers of it is its
solution. It acts in the true simulator and sees the task's own reward there, also while it is measured. Recurrent PPO
is sb3-contrib's; Duan et al. use TRPO, and a GRU for its LSTM.
"""

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.controller import simulator_controller
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model_free.recurrent_agent import Memory, RecurrentController, practised
from mbtransfer.transfer.model_free.stable_baselines import missing, own_randomness, require
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from mbtransfer.transfer.model_free.trials import Trials
from tasks.environment import Environment
from tasks.task import Task

if TYPE_CHECKING:
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy


@dataclass(frozen=True)
class RecurrentPPOConfig:
    """Settings of recurrent proximal policy optimisation (Schulman et al. 2017); the others are the library's.

    Attributes:
        copies: environments that run side by side.
        trials: trials of each of them, at their full length, between two rounds of updates.
        epochs: passes over these in each round.
        rate: learning rate.
        discount: discount factor per control step.
        hidden: units of the memory, of actor and critic each.
        width: units of the layer behind it.
        entropy: weight of the entropy bonus.
    """

    copies: int = 4
    trials: int = 2
    epochs: int = 10
    rate: float = 3e-4
    discount: float = 0.99
    hidden: int = 64
    width: int = 64
    entropy: float = 0.0

    def arguments(self, trial: int) -> dict[str, Any]:
        """What `RecurrentPPO` is made with, for trials of so many control steps."""
        return {
            "learning_rate": self.rate, "gamma": self.discount, "ent_coef": self.entropy, "n_epochs": self.epochs,
            "n_steps": self.trials * trial, "batch_size": self.trials * trial,
            "policy_kwargs": {"lstm_hidden_size": self.hidden, "net_arch": [self.width]},
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Learner:
    """A policy that has learned to learn.

    Attributes:
        sources: what it was learned from.
        policy: the policy.
        steps: control steps that it was learned in.
    """

    sources: Sources
    policy: "RecurrentActorCriticPolicy"
    steps: int


@dataclass(frozen=True)
class RL2(Method[Learner]):
    """Carries a policy with a memory, which learns the target within the episodes of practice.

    Attributes:
        steps: control steps in the source tasks together, at least.
        length: episodes of a trial; one more than those of practice, if that is more.
        training: how it is trained.

    Raises:
        UserError: no steps or episodes.
    """

    name: ClassVar[str] = "rl2"
    steps: int = 30_000
    length: int = 2
    training: RecurrentPPOConfig = field(default_factory=RecurrentPPOConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.length < 1:
            raise UserError("rl2: steps and length must be at least 1")

    def lacks(self, environment: Environment) -> str:
        """See `Method.lacks`."""
        return missing("stable_baselines3", "sb3_contrib")

    def small(self) -> "RL2":
        """See `Method.small`."""
        return replace(self, steps=max(1, self.steps // 5))

    def pretrain(self, sources: Sources) -> Learner:
        """Learn to learn, from trials of the source tasks in the true simulator.

        Raises:
            UserError: the library is not installed, or no source tasks.
        """
        require("stable_baselines3", "sb3_contrib")
        if not sources.tasks:
            raise UserError("rl2 needs at least one source task; name some")
        from sb3_contrib import RecurrentPPO
        from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

        environment, length = sources.model.environment, max(self.length, sources.practice + 1)

        def make() -> Trials:
            return Trials(TaskEpisodes(environment, sources.tasks, until_success=False), length)

        with own_randomness():
            envs = DummyVecEnv([make for _ in range(self.training.copies)])
            # rewards to a common scale for the gradient's sake; the policy sees them as they are
            scaled = VecNormalize(envs, norm_obs=False, gamma=self.training.discount)
            agent = RecurrentPPO(
                "MlpLstmPolicy", scaled, seed=sources.seed, device=sources.model.device,
                **self.training.arguments(length * environment.spec.episode_steps),
            )  # fmt: skip
            agent.learn(self.steps)
        assert isinstance(agent.policy, RecurrentActorCriticPolicy)
        return Learner(sources, agent.policy, agent.num_timesteps)

    def solve(self, carried: Learner, target: Task) -> Solution:
        """Let the agent practise the target; what it then remembers is where each measured episode begins."""
        sources, policy, steps = carried.sources, carried.policy, carried.steps
        environment = sources.model.environment
        memory = Memory.blank(policy, environment.spec.action_size)
        if sources.practice:
            trials = Trials(TaskEpisodes(environment, [target], until_success=False), sources.practice)
            seed = (sources.seed + zlib.crc32(target.name.encode())) % 2**31
            with own_randomness():
                torch.manual_seed(seed)
                memory = practised(policy, trials, seed)
            steps += trials.steps
        fields = vars(simulator_controller(environment)) | {"device": sources.model.device}
        acts = RecurrentController(**fields, policy=policy, memory=memory)
        return Solution(acts, Costs(steps=steps, parameters=parameters(*_acting(policy))))


def _acting(policy: "RecurrentActorCriticPolicy") -> list[nn.Module]:
    """The networks that choose actions; the critic's are not among them."""
    assert isinstance(policy.action_net, nn.Module)
    return [policy.lstm_actor, policy.mlp_extractor.policy_net, policy.action_net]
