"""Plan a task that nobody trained for: `python examples/plan_new_task.py runs/demo/model`."""

import sys

from mbtransfer import Model, check_task, model_controller, play_episodes

model = Model.load(sys.argv[1])
task = model.environment.move("drawer", 0.2)  # metres; nobody trained for it
print(check_task(model, task, model.environment.make_scene(())))
controller = model_controller(model.environment, model.dynamics, rewards=model.rewards)
for played in play_episodes(controller, task, seed=0, episodes=3):
    print(played.result.success, played.result.steps, "control steps")
