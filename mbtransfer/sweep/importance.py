"""How much of what came out each setting explains: a random forest, as on W&B's page of importances."""

import pandas as pd
from sklearn.ensemble import RandomForestRegressor

TREES = 200


def importance(params: pd.DataFrame, metric: "pd.Series[float]") -> dict[str, float]:
    """Share of each parameter in the explained variance of the metric, greatest first; they add up to 1.

    Zero for all where nothing changed. Words are numbered in the order of their mean metric.
    """
    columns = {name: _as_numbers(params[name], metric) for name in params}
    forest = RandomForestRegressor(TREES, random_state=0).fit(pd.DataFrame(columns), metric)
    shares = {
        str(name): float(share) for name, share in zip(columns, forest.feature_importances_, strict=True)
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _as_numbers(values: "pd.Series[float]", metric: "pd.Series[float]") -> "pd.Series[float]":
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    words = values.astype(str)
    order = metric.groupby(words).mean().rank(method="first")
    return words.map(order)
