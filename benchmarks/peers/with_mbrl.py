"""mbrl-lib: CEM over `ModelEnv.evaluate_action_sequences` and a `GaussianMLP`, as its PETS example has it.

Two things are to its advantage: the network is deterministic, as ours is, so that no variance is computed
and nothing sampled; and inputs are normalised in single precision (its PETS example asks for double).
"""

from types import SimpleNamespace

import numpy as np
import torch
from gymnasium.spaces import Box
from mbrl.env.termination_fns import no_termination
from mbrl.models import GaussianMLP, ModelEnv, OneDTransitionRewardModel
from mbrl.planning import create_trajectory_optim_agent_for_model
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Sizes, Work

PACKAGE = "mbrl"


def entries(work: Work) -> list[Entry]:
    """Its CEM."""
    sizes, network = work.sizes, _network(work)
    model = OneDTransitionRewardModel(network, target_is_delta=True, normalize=True, learned_rewards=False)
    spaces = SimpleNamespace(
        observation_space=Box(-np.inf, np.inf, (sizes.obs,)), action_space=Box(-1.0, 1.0, (sizes.action,))
    )

    def reward(action: Tensor, next_obs: Tensor) -> Tensor:
        return work.reward(next_obs, action, next_obs)[:, None]

    env = ModelEnv(spaces, model, no_termination, reward)
    agent = create_trajectory_optim_agent_for_model(env, _settings(sizes), sizes.particles)

    def decide(obs: Tensor) -> Tensor:
        return torch.from_numpy(agent.act(obs.numpy()))

    @torch.no_grad()
    def predict(obs: Tensor, action: Tensor) -> Tensor:
        return obs + network(model._get_model_input(obs, action), use_propagation=False)[0]

    return [Entry("cem", PACKAGE, "float32", decide, predict)]


def _network(work: Work) -> GaussianMLP:
    """Its ensemble with our weights; a particle keeps its member (`fixed_model`, TSinf in the paper)."""
    sizes = work.sizes
    network = GaussianMLP(
        sizes.obs + sizes.action, sizes.obs, "cpu", num_layers=sizes.layers, ensemble_size=sizes.members,
        hid_size=sizes.hidden, deterministic=True, propagation_method="fixed_model",
    )  # fmt: skip
    linear = [*(hidden[0] for hidden in network.hidden_layers), network.mean_and_logvar]
    for layer, (weight, bias) in zip(linear, work.layers, strict=True):
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)
    return network


def _settings(sizes: Sizes) -> DictConfig:
    """Its agent as its PETS example sets it up, sizes apart."""
    search = {
        "_target_": "mbrl.planning.CEMOptimizer", "num_iterations": sizes.iterations,
        "elite_ratio": sizes.elites / sizes.candidates, "population_size": sizes.candidates, "alpha": 0.1,
        "lower_bound": "???", "upper_bound": "???", "return_mean_elites": True, "clipped_normal": False,
        "device": "cpu",
    }  # fmt: skip
    return OmegaConf.create({
        "_target_": "mbrl.planning.TrajectoryOptimizerAgent", "action_lb": "???", "action_ub": "???",
        "planning_horizon": sizes.horizon, "replan_freq": 1, "verbose": False, "optimizer_cfg": search,
        # Without it a newer hydra builds the optimizer before its bounds are known.
        "_recursive_": False,
    })  # fmt: skip
