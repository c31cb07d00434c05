"""Make breakfast on a few mornings, step by step: `python examples/kitchen_breakfast.py --video breakfast.mp4`."""

from itertools import groupby
from pathlib import Path

import tyro

from mbtransfer import Model, film_episode, find_recipe, model_controller, play_episodes


def main(
    model: Path = Path("runs/demo/model"),
    recipe: str = "breakfast",
    mornings: int = 3,
    seed: int = 0,
    video: Path | None = None,
) -> None:
    """Cook and tell how it went.

    Args:
        model: what `make demo` has fitted.
        recipe: one that ships with the kitchen, or a YAML file.
        mornings: how often; each begins with another kitchen.
        seed: of the kitchens and of the planner.
        video: film the first morning into this file.
    """
    fitted = Model.load(model)
    kitchen = fitted.environment
    asked = find_recipe(recipe, kitchen)
    controller = model_controller(kitchen, fitted.dynamics, rewards=fitted.rewards)

    print(f"{asked.name}: {asked.description}")
    played = play_episodes(controller, asked, seed=seed, episodes=mornings)
    for morning, episode in enumerate(played, start=1):
        print(f"\nmorning {morning}")
        for doing, steps in groupby(episode.after):
            print(f"  {len(list(steps)) * kitchen.spec.control_dt:4.1f} s  {doing}")
        result = episode.result
        end = "done" if result.success else episode.why
        print(f"  {end}: {result.steps_done} of {result.steps_total}, {result.plan_ms:.0f} ms per decision")

    if video:
        film_episode(controller.scene, played[0], video=video)
        print(f"\nwrote {video}")


if __name__ == "__main__":
    tyro.cli(main)
