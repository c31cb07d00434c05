"""Plan a task that nobody trained for: `python examples/plan_new_task.py runs/demo/model`."""

import sys

from mbtransfer import Model, check_task, learned_pilot, play_episodes


def main(folder: str) -> None:
    model = Model.load(folder)
    kitchen = model.environment
    task = kitchen.move("drawer", to=0.1)  # leave the drawer open by a hand's breadth
    print(check_task(model, task, kitchen.make_scene(())))  # how far the model can be trusted with it

    pilot = learned_pilot(kitchen, model.dynamics, rewards=model.rewards)
    for played in play_episodes(pilot, task, seed=0, episodes=3):
        result = played.result
        print(task.description, "done" if result.success else played.why, f"in {result.steps} control steps")


if __name__ == "__main__":
    main(sys.argv[1])
