"""Ensemble disagreement, calibrated to percentiles of held-out data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.dynamics.rollout import Imagined
from world_models.errors import ModelError
from world_models.uncertainty.novelty import Familiarity

NOTE = "disagreement_scale"
"""Name under which a scale is kept among a model's notes."""

LEVELS = 101
"""Quantiles kept per step: whole percents, the least and the greatest value seen included."""


def disagreement(imagined: Imagined) -> Float[Tensor, "H R"]:
    """Raw disagreement after each step: root mean square over columns of the particles' spread.

    In units of each column's scale of change in one step. The spread is corrected for the number of particles
    (Bessel), so that plans made with two and a scale made with five agree; one particle never disagrees.
    """
    spread, particles = imagined.disagreement(), imagined.particles.shape[1]
    return (spread.square().mean(dim=-1) * (particles / max(1, particles - 1))).sqrt()


@dataclass(frozen=True, eq=False)
class DisagreementScale:
    """Raw disagreement as a share of held-out roll-outs, step by step.

    The empirical distribution function, linear between whole percents: the median of what was seen is 0.5, the
    greatest value seen and everything beyond is 1.

    Attributes:
        quantiles: of the raw disagreement after 1 to H steps; each row rises from the least to the greatest.
    """

    quantiles: Float[Tensor, "H L"]

    @classmethod
    def fit(cls, raw: Float[Tensor, "H R"]) -> "DisagreementScale":
        """From the raw disagreement of R held-out roll-outs."""
        levels = torch.linspace(0, 1, LEVELS, device=raw.device, dtype=raw.dtype)
        return cls(torch.quantile(raw, levels, dim=1).T.contiguous())

    def percentile(self, raw: Float[Tensor, "T *b"]) -> Float[Tensor, "T *b"]:
        """Share of held-out roll-outs that disagree less after as many steps, from 0 to 1.

        Row t of `raw` is of step t + 1; beyond the last step of the scale that step's row serves. What is
        not a number counts as beyond everything.
        """
        rows, flat = self._rows(raw), raw.reshape(len(raw), -1).contiguous()
        above = torch.searchsorted(rows, flat)
        top = rows.shape[1] - 1
        low = rows.gather(1, (above - 1).clamp(0, top))
        high = rows.gather(1, above.clamp(max=top))
        between = ((flat - low) / (high - low).clamp(min=1e-12)).nan_to_num(0.0).clamp(0, 1)
        share = torch.where(above > top, 1.0, ((above - 1 + between) / top).clamp(0, 1))
        return torch.where(above == 0, 0.0, share).reshape(raw.shape)

    def ratio(self, raw: Float[Tensor, "T *b"]) -> Float[Tensor, "T *b"]:
        """Raw disagreement over the 99th percentile of its step: grows on where the percentile stays at 1."""
        scale = self._rows(raw)[:, -2].clamp(min=1e-12)
        return raw / scale.reshape(-1, *[1] * (raw.ndim - 1))

    def to(self, device: torch.device | str) -> "DisagreementScale":
        """The same scale on another device."""
        return DisagreementScale(self.quantiles.to(device))

    def to_json(self) -> list[list[float]]:
        """As plain numbers, for a model's notes."""
        return [[float(f"{value:.5g}") for value in row] for row in self.quantiles.tolist()]

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> "DisagreementScale":
        """Back from the notes of a model.

        Raises:
            ModelError: the model was fitted without a scale, or its notes are damaged.
        """
        if NOTE not in notes:
            raise ModelError("the model has no scale of disagreement; fit it again with `mbtransfer fit`")
        try:
            quantiles = torch.tensor(notes[NOTE], dtype=torch.float32)
        except (TypeError, ValueError) as error:
            raise ModelError("the model's scale of disagreement is damaged; fit it again") from error
        whole = quantiles.ndim == 2 and quantiles.shape[0] > 0 and quantiles.shape[1] > 2
        if not whole or not bool(quantiles.isfinite().all()) or bool((quantiles.diff(dim=1) < 0).any()):
            raise ModelError("the model's scale of disagreement is damaged; fit it again")
        return cls(quantiles)

    def _rows(self, raw: Tensor) -> Tensor:
        step = torch.arange(len(raw)).clamp(max=len(self.quantiles) - 1)
        return self.quantiles[step.to(self.quantiles.device)].to(raw)


@dataclass(frozen=True, eq=False)
class Novelty:
    """Disagreement and unfamiliarity in one number from 0 to 1: the greater of the two.

    They see different things. Members that never saw a door move agree, rightly, that it stays where it is
    while the hand is elsewhere, wherever it stands; they disagree once the hand touches it. That it stands where
    it never stood is told by the pool alone.

    Attributes:
        scale: of the disagreement.
        familiarity: of the states.
    """

    scale: DisagreementScale
    familiarity: Familiarity

    def __call__(self, imagined: Imagined) -> Float[Tensor, "H R"]:
        """Of each step: of the state that it leaves, and of the disagreement after it."""
        before = self.familiarity.rarity(imagined.particles[:-1].mean(dim=1))
        return torch.maximum(self.scale.percentile(disagreement(imagined)), before)
