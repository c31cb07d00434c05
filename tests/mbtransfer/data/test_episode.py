import numpy as np
import pytest

from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError


def make(obs: np.ndarray, actions: np.ndarray, state: np.ndarray) -> Episode:
    return Episode(obs, actions, state, "babble", 7, terminated=False, truncated=True)


def test_length_is_the_number_of_steps() -> None:
    episode = make(np.zeros((4, 2), np.float32), np.zeros((3, 1), np.float32), np.zeros((4, 5)))
    assert len(episode) == 3


@pytest.mark.parametrize(
    ("obs", "actions", "state", "said"),
    [
        (np.zeros((4, 2), np.float32), np.zeros((0, 1), np.float32), np.zeros((4, 5)), "no steps"),
        (np.zeros((3, 2), np.float32), np.zeros((3, 1), np.float32), np.zeros((4, 5)), "obs has shape"),
        (np.zeros((4, 2)), np.zeros((3, 1), np.float32), np.zeros((4, 5)), "obs is float64"),
        (np.zeros((4, 2), np.float32), np.zeros(3, np.float32), np.zeros((4, 5)), "actions has shape"),
        (np.zeros((4, 2), np.float32), np.zeros((3, 1), np.float32), np.zeros((3, 5)), "state has shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    obs: np.ndarray, actions: np.ndarray, state: np.ndarray, said: str
) -> None:
    with pytest.raises(UserError, match=f"behaviour 'babble', seed 7.*{said}"):
        make(obs, actions, state)
