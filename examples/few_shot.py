"""Teach a model what its data never showed, in a few episodes: `python examples/few_shot.py --episodes 5`."""

from pathlib import Path

import tyro

from mbtransfer import Model, adapt_model, check_task, evaluate_tasks, model_controller, success_rate


def main(
    model: Path = Path("runs/demo/locked"),
    task: str = "light_on",
    old: str = "drawer_open",
    episodes: int = 5,
    trials: int = 10,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Check, adapt, and compare before and after.

    Args:
        model: one that cannot do the task; that of `make demo` was fitted with the light switch locked.
        task: what it shall learn.
        old: what it shall not forget.
        episodes: how many the robot may try.
        trials: episodes behind each number.
        seed: of everything random.
        out: folder for the adapted model.
    """
    before = Model.load(model)
    kitchen = before.environment
    new, known, scene = kitchen.task(task), kitchen.task(old), kitchen.make_scene(())
    print(f"check: {check_task(before, new, scene).warning or 'nothing to warn of'}\n")

    adaptation = adapt_model(before, new, episodes, scene, seed)
    after = adaptation.model
    print(f"{'episodes':>8}  {task:>12}  {old:>12}")
    for count, stage in ((0, before), (episodes, after)):
        controller = model_controller(kitchen, stage.dynamics, rewards=stage.rewards)
        rates = [success_rate(evaluate_tasks(controller, [one], episodes=trials)) for one in (new, known)]
        print(f"{count:8d}  {rates[0]:12.0%}  {rates[1]:12.0%}")

    if adaptation.result is None:
        print("\nno episode fulfilled the task, so the model is as it was: give it more --episodes")
    for taught, donor in adaptation.result.donors.items() if adaptation.result else ():
        print(f"\n{taught} never moved before; its block began as that of {donor}")
    if out:
        after.save(out)
        print(f"\nwrote {out}")


if __name__ == "__main__":
    tyro.cli(main)
