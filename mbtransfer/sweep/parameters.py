"""Parameters of a sweep file, in every form that W&B's schema has.

A parameter maps a number from 0 to 1 to a value (the quantile function of its distribution), so that any search over
numbers searches any distribution. Parameters within parameters are told side by side: `search.horizon`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from scipy import stats

from mbtransfer import validation

DOT = "."

DISTRIBUTIONS: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "uniform": (("min", "max"), lambda low, high: stats.uniform(low, high - low)),
    "int_uniform": (("min", "max"), lambda low, high: stats.randint(low, high + 1)),
    "normal": (("mu", "sigma"), stats.norm),
    "log_normal": (("mu", "sigma"), lambda mu, sigma: stats.lognorm(sigma, scale=math.exp(mu))),
    "log_uniform": (("min", "max"), lambda low, high: stats.loguniform(math.exp(low), math.exp(high))),
    "log_uniform_values": (("min", "max"), stats.loguniform),
    "inv_log_uniform": (("min", "max"), lambda low, high: stats.loguniform(math.exp(-high), math.exp(-low))),
    "inv_log_uniform_values": (("min", "max"), stats.loguniform),
    "beta": (("a", "b"), stats.beta),
}
"""What a distribution is called, its settings, and the distribution; `q_` before the name rounds to multiples of q."""

DEFAULTS = {"mu": 0.0, "sigma": 1.0, "a": 1.0, "b": 1.0, "q": 1.0}
EXPONENTS = ("log_uniform", "inv_log_uniform")
MOST_EXPONENT = 700.0
"""The exponential of more is no number."""
MOST_VALUES = 10_000
"""Values of one parameter that a grid may have."""


class Parameter(BaseModel):
    """One parameter: a value, some values, or a distribution."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    distribution: str | None = None
    value: Any = None
    values: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    probabilities: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    min: int | float | None = None
    max: int | float | None = None
    mu: float | None = None
    sigma: Annotated[float, Field(ge=0)] | None = None
    a: Annotated[float, Field(gt=0)] | None = None
    b: Annotated[float, Field(gt=0)] | None = None
    q: Annotated[int | float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Parameter":
        given, kind = self.model_fields_set - {"distribution"}, self.kind
        if kind == "constant":
            needed, allowed = {"value"}, {"value"}
        elif kind.startswith("categorical"):
            needed = {"values", "probabilities"} if kind.endswith("probabilities") else {"values"}
            allowed = needed
        else:
            name = kind.removeprefix("q_")
            if name not in DISTRIBUTIONS or (kind == "q_int_uniform"):
                raise ValueError(
                    f"no distribution {kind!r}; there are {', '.join(DISTRIBUTIONS)}, and q_ forms of them"
                )
            settings = set(DISTRIBUTIONS[name][0])
            needed, allowed = settings & {"min", "max"}, settings | ({"q"} if kind != name else set())
        if lacking := sorted(needed - given):
            raise ValueError(f"{kind} needs {', '.join(lacking)}")
        if extra := sorted(given - allowed):
            raise ValueError(f"{kind} has no {', '.join(extra)}")
        if self.probabilities is not None and self.values is not None:
            if len(self.probabilities) != len(self.values):
                raise ValueError(f"{len(self.values)} values, but {len(self.probabilities)} probabilities")
            if not math.isclose(sum(self.probabilities), 1.0, rel_tol=1e-6):
                raise ValueError(f"the probabilities add up to {sum(self.probabilities):g}, not 1")
        if self.min is not None and self.max is not None:
            self._check_limits(kind.removeprefix("q_"), self.min, self.max)
        return self

    def _check_limits(self, name: str, low: int | float, high: int | float) -> None:
        if low >= high:
            raise ValueError(f"min {low} is not less than max {high}")
        if name == "int_uniform" and (low != int(low) or high != int(high)):
            raise ValueError(f"int_uniform needs whole numbers, not {low} and {high}")
        if name.endswith("_values") and low <= 0:
            raise ValueError(f"{name} needs a min above 0, not {low}")
        if name in EXPONENTS and max(abs(low), abs(high)) > MOST_EXPONENT:
            raise ValueError(f"{name}: e to the power of {max(low, high, key=abs)} is too large")

    @property
    def kind(self) -> str:
        """Its distribution, given or meant."""
        if self.distribution is not None:
            return self.distribution
        if "value" in self.model_fields_set:
            return "constant"
        if "values" in self.model_fields_set or "probabilities" in self.model_fields_set:
            return "categorical" if self.probabilities is None else "categorical_w_probabilities"
        whole = isinstance(self.min, int) and isinstance(self.max, int)
        return "int_uniform" if whole else "uniform"

    @property
    def varies(self) -> bool:
        """Whether it has more than one value."""
        return self.kind != "constant" and (self.values is None or len(self.values) > 1)

    def grid(self) -> list[Any] | None:
        """All its values, in order; None if they cannot be counted."""
        if self.kind == "constant":
            return [self.value]
        if self.values is not None:
            return list(self.values)
        if self.kind not in ("int_uniform", "q_uniform") or self.min is None or self.max is None:
            return None
        step = 1 if self.q is None else self.q
        first, last = round(self.min / step), round(self.max / step)
        return (
            None if last - first >= MOST_VALUES else [_whole(i * step, step) for i in range(first, last + 1)]
        )

    def at(self, share: float) -> Any:
        """The value at a share of the distribution, from 0 to 1."""
        if self.kind == "constant":
            return self.value
        if self.values is not None:
            return self.values[self._index(share)]
        found = float(self._frozen().ppf(min(max(share, 1e-9), 1 - 1e-9)))
        if self.kind == "int_uniform":
            return round(found)
        if self.kind.startswith("q_"):
            step = DEFAULTS["q"] if self.q is None else self.q
            return _whole(round(found / step) * step, step)
        return found

    def share(self, value: Any) -> float:
        """Where a value lies in the distribution, from 0 to 1: the reverse of `at`."""
        if self.values is not None:
            cumulated = self._cumulated()
            index = next((i for i, one in enumerate(self.values) if one == value), 0)
            return (cumulated[index] + ([0.0, *cumulated][index])) / 2
        return 0.5 if self.kind == "constant" else float(self._frozen().cdf(value))

    def _index(self, share: float) -> int:
        return next((i for i, end in enumerate(self._cumulated()) if share < end), len(self.values or ()) - 1)

    def _cumulated(self) -> list[float]:
        n = len(self.values or ())
        parts = self.probabilities or (1 / n,) * n
        return [sum(parts[: i + 1]) for i in range(n)]

    def _frozen(self) -> Any:
        names, make = DISTRIBUTIONS[self.kind.removeprefix("q_")]
        return make(
            *(DEFAULTS[name] if getattr(self, name) is None else getattr(self, name) for name in names)
        )


class ParameterGroup(BaseModel):
    """Parameters within a parameter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: "Parameters"


GROUP, SINGLE = "a group", "one"


def _form(one: Any) -> str:
    """What holds parameters is read as a group, all else as one, so that messages speak of one of them."""
    within = isinstance(one, Mapping) and "parameters" in one
    return GROUP if within or isinstance(one, ParameterGroup) else SINGLE


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
Parameters = Annotated[
    dict[
        Name,
        Annotated[
            Annotated[Parameter, Tag(SINGLE)] | Annotated[ParameterGroup, Tag(GROUP)], Discriminator(_form)
        ],
    ],
    Field(min_length=1),
]
ParameterGroup.model_rebuild()


class EarlyTermination(BaseModel):
    """When bad trials are ended (Hyperband's successive halving)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["hyperband"]
    min_iter: Annotated[int, Field(ge=1)] | None = None
    max_iter: Annotated[int, Field(ge=1)] | None = None
    s: Annotated[int, Field(ge=1)] | None = None
    eta: Annotated[float, Field(gt=1)] = 3
    strict: bool = False

    @model_validator(mode="after")
    def _check(self) -> "EarlyTermination":
        if self.min_iter is None and self.max_iter is None:
            raise ValueError("hyperband needs min_iter or max_iter")
        return self

    @property
    def first(self) -> int:
        """Points after which a trial is looked at first."""
        if self.min_iter is not None:
            return self.min_iter
        return max(1, round((self.max_iter or 1) / self.eta ** (self.s or 1)))


class Metric(BaseModel):
    """The number that is looked at."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"


class SweepSpec(BaseModel):
    """The parts of a sweep file that decide what is tried; W&B's other settings are kept as they are."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: Literal["grid", "random", "bayes"]
    metric: Metric
    parameters: Parameters
    early_terminate: EarlyTermination | None = None

    @property
    def flat(self) -> dict[str, Parameter]:
        """Every parameter by its flat name."""
        return flattened(self.parameters)


def problems(content: Mapping[str, Any]) -> list[str]:
    """What is wrong with the content of a sweep file: a line each, with the place."""
    try:
        SweepSpec.model_validate(content)
    except ValidationError as error:
        return validation.problems(error, unseen=(GROUP, SINGLE))
    return []


def flattened(parameters: Mapping[str, Parameter | ParameterGroup]) -> dict[str, Parameter]:
    """Parameters within parameters side by side: `{"a": {"parameters": {"b": ...}}}` is `{"a.b": ...}`."""
    found: dict[str, Parameter] = {}
    for name, one in parameters.items():
        if isinstance(one, ParameterGroup):
            found |= {f"{name}{DOT}{inner}": part for inner, part in flattened(one.parameters).items()}
        else:
            found[name] = one
    return found


def nested(
    params: Mapping[str, Any], parameters: Mapping[str, Parameter | ParameterGroup], outer: str = ""
) -> dict[str, Any]:
    """Values by flat names in the shape of the file: `{"a.b": 1}` is `{"a": {"b": 1}}` where `a` has inner ones."""
    return {
        name: nested(params, one.parameters, f"{outer}{name}{DOT}")
        if isinstance(one, ParameterGroup)
        else params[f"{outer}{name}"]
        for name, one in parameters.items()
    }


def flat_values(
    params: Mapping[str, Any], parameters: Mapping[str, Parameter | ParameterGroup]
) -> dict[str, Any]:
    """The reverse of `nested`."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        one = parameters.get(name)
        if isinstance(one, ParameterGroup) and isinstance(value, Mapping):
            found |= {f"{name}{DOT}{key}": part for key, part in flat_values(value, one.parameters).items()}
        else:
            found[name] = value
    return found


def _whole(value: int | float, step: int | float) -> int | float:
    return round(value) if float(step).is_integer() else value
