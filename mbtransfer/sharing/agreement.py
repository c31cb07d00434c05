"""Whether what was measured again agrees with what a card claims.

A new run has a sampling error of its own: even if a claim is true, the new figure is outside of a 95% interval around
the old one in about one case of six. So both are compared as two samples, and many figures with Holm's correction.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Count = tuple[int, int]
"""Successes, and episodes."""

LEVEL = 0.01
"""Probability that a card whose every figure is true has any figure called outside."""

TIES = 1 + 1e-7
"""Outcomes are as likely as the one seen up to this factor: rounding must not decide."""


def success_p(claimed: Sequence[Count], again: Sequence[Count]) -> float:
    """Two-sided p-value of the hypothesis that each task succeeds as often as claimed.

    Fisher's exact test, stratified by task: given each task's total of successes in both runs, the successes of the
    new run are hypergeometric, and their sum over tasks is the statistic (the exact form of the test of Mantel and
    Haenszel 1959, "Statistical aspects of the analysis of data from retrospective studies of disease"). Outcomes that
    are no likelier than the one seen are added up. With one task it is Fisher's exact test. Being exact, it keeps its
    level for any number of episodes; it assumes that episodes are independent given the model.

    Args:
        claimed: successes and episodes of each task, as claimed.
        again: of the same tasks, as measured again.

    Raises:
        ValueError: the tasks differ in number.
    """
    chances: NDArray[np.float64] = np.ones(1)
    seen = 0
    for (old, episodes), (new, more) in zip(claimed, again, strict=True):
        least, most = max(0, old + new - episodes), min(more, old + new)
        share = stats.hypergeom.pmf(np.arange(least, most + 1), episodes + more, old + new, more)
        chances = np.convolve(chances, share)
        seen += new - least
    return min(1.0, float(chances[chances <= chances[seen] * TIES].sum()))


def return_p(mean: float, std: float, episodes: int, again: Sequence[float]) -> float | None:
    """Two-sided p-value of the hypothesis that the mean return is as claimed; None where fewer than two episodes tell.

    Welch's t-test (Welch 1947, "The generalization of 'Student's' problem when several different population variances
    are involved").

    Args:
        mean: claimed mean return.
        std: claimed standard deviation over episodes, with Bessel's correction.
        episodes: how many episodes the claim rests on.
        again: returns of the new episodes.
    """
    new = np.asarray(again, dtype=np.float64)
    if episodes < 2 or len(new) < 2:
        return None
    spread = float(new.std(ddof=1))
    if not std and not spread:
        return float(np.isclose(mean, new.mean()))
    test = stats.ttest_ind_from_stats(
        mean, std, episodes, float(new.mean()), spread, len(new), equal_var=False
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected, so that any true one is with at most this probability.

    Holm 1979, "A simple sequentially rejective multiple test procedure": the smallest p-value is compared with
    level / m, the next with level / (m - 1), and so on until one is not below. It holds for dependent figures.
    """
    rejected = [False] * len(p_values)
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] > level / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected


def lowest_inside(claimed: Count, episodes: int, level: float = LEVEL) -> float:
    """The lowest success rate that so many new episodes could have shown without being outside."""
    low, high = 0, round(episodes * claimed[0] / claimed[1])
    while low < high:  # between nothing and the claimed rate, the p-value grows with the successes
        middle = (low + high) // 2
        inside = success_p([claimed], [(middle, episodes)]) > level
        low, high = (low, middle) if inside else (middle + 1, high)
    return low / episodes
