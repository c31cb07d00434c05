"""Showing: films of recipes, curves, the summary, the report."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from mbtransfer.atomic import write_json, write_text
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.filming import film_episode
from mbtransfer.evaluation.setup import Setup
from mbtransfer.model import Model
from mbtransfer.threads import threads
from tasks.recipe import find_recipe
from tasks.render import Renderer, RenderUnavailable

FILMED = 4
"""Recipes filmed; rendering in software takes a while."""

SIZE = (400, 300)


def film_recipes(setup: Setup, names: list[str], seed: int, media: Path, console: Console) -> dict[str, Any]:
    """A film and a strip of the first recipes, each done once more; nothing where there is no renderer."""
    pilot = setup.pilot()
    try:
        renderer = Renderer(pilot.scene, *SIZE)
    except RenderUnavailable as error:
        console.print(f"no films: {error}", soft_wrap=True)
        return {"films": [], "why": str(error)}
    media.mkdir(parents=True, exist_ok=True)
    with threads(1), renderer:
        for name in names[:FILMED]:
            played = play_episodes(pilot, find_recipe(name, pilot.environment), seed, 1)[0]
            film_episode(
                pilot.scene,
                played,
                video=media / f"{name}.mp4",
                strip=media / f"{name}.png",
                renderer=renderer,
            )
    return {"films": names[:FILMED], "why": ""}


def write_curves(model: Model, out: Path, reward: list[dict[str, Any]], check: dict[str, Any]) -> None:
    """The files of which the report draws its curves."""
    write_text(out / "fit.csv", pd.DataFrame(model.notes["curve"]).to_csv(index=False))
    notes = {name: model.notes.get(name) for name in ("horizon_error", "disagreement", "interval_coverage")}
    write_json(out / "diagnostics.json", notes | {"reward": reward, "check": check})


def label_curve(frame: pd.DataFrame) -> dict[str, list[float]]:
    """Success on held-out tasks by the number of labels behind each head."""
    learned = frame[(frame["dynamics"] == "learned") & (frame["split"] == "held_out")]
    rates = learned.groupby(["labels", "task"])["success"].mean().groupby("labels").mean()
    return {"labels": [int(n) for n in rates.index], "success": [float(rate) for rate in rates]}
