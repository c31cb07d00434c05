"""A recipe written a minute ago: ask the model how far it can be trusted with it, then cook it a few times."""

from pathlib import Path

import tyro

from mbtransfer import Model, check_task, evaluate_recipes, load_recipe, model_controller, success_rate

RECIPE = """
name: cocoa
description: A mug from the cabinet, the pot to the front, a low flame, and dimmed light.
steps:
  - any_order:
      - hinge_cabinet_open
      - move: kettle_y       # any fixture to any place in its range, here in metres
        to: -0.1
        retries: 1
  - left_knob_low
  - hinge_cabinet_close
  - task: light_dim
    optional: true
"""


def main(
    model: Path = Path("runs/demo/model"), recipe: Path | None = None, episodes: int = 5, seed: int = 0
) -> None:
    """Check and cook.

    Args:
        model: what `make demo` has fitted.
        recipe: a YAML file; the recipe in this script by default.
        episodes: how often.
        seed: of the kitchens and of the planner.
    """
    fitted = Model.load(model)
    kitchen = fitted.environment
    asked = load_recipe(recipe or RECIPE, kitchen)
    print(f"{asked.name}: {asked.description}\n")

    scene = kitchen.make_scene(())
    for step in asked.steps:
        finding = check_task(fitted, step.task, scene)
        print(f"  risk {finding.risk:.2f}  {step.label}: {finding.warning or 'nothing to warn of'}")

    controller = model_controller(kitchen, fitted.dynamics, rewards=fitted.rewards)
    rows = evaluate_recipes(controller, [asked], episodes=episodes, seeds=(seed,))
    print(f"\ncooked {len(rows)} times, {success_rate(rows):.0%} of them to the end")
    for row in rows:
        seconds = row.steps * kitchen.spec.control_dt
        print(f"  {row.steps_done} of {row.steps_total} steps in {seconds:.1f} s")


if __name__ == "__main__":
    tyro.cli(main)
