"""Leave the drawer half shut: nine centimetres out, give or take two.

Try it:
    mbtransfer check --model runs/demo/model --task-file examples/half_shut_drawer.py --task half_shut_drawer
    mbtransfer plan --model runs/demo/model --task-file examples/half_shut_drawer.py --task half_shut_drawer
"""

from torch import Tensor

from tasks.registry import make

spec = make("kitchen").spec
drawer = spec.fixture("drawer")


def _gap(obs: Tensor) -> Tensor:
    """How far the drawer is from half shut (m)."""
    return (obs[..., drawer.position] - 0.09).abs()


def reward(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    """Draw the hand to the handle and the drawer to its place; a bonus for being there."""
    reach = next_obs[..., list(drawer.handle)].norm(dim=-1)
    return success(next_obs).float() - reach - 10.0 * _gap(next_obs)


def success(obs: Tensor) -> Tensor:
    """Within two centimetres."""
    return _gap(obs) < 0.02
