"""`mbtransfer collect`: collect episodes into a dataset."""

import time

from mbtransfer.cli.commands.dataset import print_dataset
from mbtransfer.collection.collect import collect, missing, open_dataset
from mbtransfer.collection.jobs import (
    MIXES,
    NEED_FIXTURES,
    NEED_MODEL,
    PLANNING,
    REWARDED,
    CollectionJob,
    PlannerConfig,
    parse_mix,
    plan_units,
)
from mbtransfer.collection.planning_policy import weights_digest
from mbtransfer.collection.policies import check_play
from mbtransfer.config import CollectConfig, parse_settings
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.command_policy import load_command_policy
from mbtransfer.runtime.executors import make_engine
from mbtransfer.runtime.files import write_json
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, Tracker, track
from mbtransfer.training.policy import prepared_digest
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.registry import make
from tasks.trusted_code import named_code
from world_models.checkpoint.checkpoint import MANIFEST


def run_collect(config: CollectConfig) -> None:
    """Collect the episodes that the dataset lacks, and print a description of the result.

    Raises:
        UserError: settings that do not fit together, or a folder that cannot be written.
        TaskError: an unknown environment, task or fixture.
        ModelError: there is no model, or it is for another environment.
    """
    console, environment = Terminal(), make(config.env)
    units = plan(config, environment)
    dataset = open_dataset(environment, str(config.out))
    with track("collect", config, config.out) as tracker:
        _work(config, environment, dataset, units, console, tracker)
        found = dataset.info() | {"digest": dataset.digest}
        if config.json:
            write_json(config.json, found)
        if config.model:
            tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        tracker.makes(Artifact("dataset", str(config.out), dataset.digest))
        tracker.table("columns", [{"name": name, **seen} for name, seen in found["observation"].items()])
        tracker.summary({name: found[name] for name in ("episodes", "steps", "bytes", "behaviours")})
    print_dataset(found, str(config.out), console)
    trust = " --trust-code" if named_code(config.env) else ""
    console.say(f"next: mbtransfer fit --data {config.out} --out MODEL{trust}")


def plan(config: CollectConfig, environment: Environment) -> list[CollectionJob]:
    """Check every name in the settings, and split the requested steps into units.

    Raises:
        UserError: settings that do not fit together.
        TaskError: an unknown task or fixture.
        ModelError: there is no model, or it is for another environment.
    """
    environment.need_simulator("collect", "import logs with `mbtransfer dataset import`")
    shares = parse_mix(config.behaviours) if config.behaviours else MIXES[_default_mix(config, environment)]
    used = {name for name, share in shares.items() if share > 0}
    for flag, behaviours in (("tasks", REWARDED), ("chain", PLANNING), ("branches", PLANNING)):
        if getattr(config, flag) and not used & set(behaviours):
            raise UserError(f"--{flag} is for the behaviours {', '.join(behaviours)}, none of which is used")
    idle = sorted(used & (set(NEED_FIXTURES) - ({"goals"} if environment.body else set())))
    if idle and not environment.spec.fixtures:
        raise UserError(f"behaviour {idle[0]} needs fixtures, and {config.env} has none; use noise")
    lacking = sorted(used & set(NEED_MODEL))
    if lacking and config.model is None:
        raise UserError(f"behaviour {lacking[0]} needs --model")
    if "play" in used:
        check_play(environment)
    if "goals" in used and environment.body and config.model:
        digest = Model.load(config.model, "cpu").digest
        load_command_policy(config.model, digest, action_bounds(environment.spec))
    planning = _planning(config, environment)
    tasks = _tasks(config, environment)
    return plan_units(
        config.steps, config.seed, shares, episode_steps=config.episode_steps, tasks=tasks,
        locked=config.locked, near=config.near, planning=planning,
    )  # fmt: skip


def _default_mix(config: CollectConfig, environment: Environment) -> str:
    given = "model" if config.model else "tasks" if config.tasks else "scripted"
    return given if environment.spec.fixtures else f"bare {given}"


def _tasks(config: CollectConfig, environment: Environment) -> tuple[str, ...]:
    """Tasks for the planning behaviours: the requested ones, or all source tasks without locked fixtures."""
    locked = {environment.spec.fixture(name).name for name in config.locked}
    if not config.tasks:
        sources = (task for task in environment.tasks.values() if task.split == "source")
        return tuple(t.name for t in sources if not locked & {f.name for f in t.fixtures})
    from mbtransfer.evaluation.task_selection import find_task  # slow to import

    for name in config.tasks:
        stuck = locked & {fixture.name for fixture in find_task(environment, name).fixtures}
        if stuck:
            raise UserError(f"task {name} moves {min(stuck)}, which --locked holds in place")
    return config.tasks


def _planning(config: CollectConfig, environment: Environment) -> PlannerConfig:
    sizes = {name: getattr(config, name) for name in ("horizon", "candidates", "iterations")}
    asked = {name: size for name, size in sizes.items() if size is not None}
    make_planner(config.planner, action_bounds(environment.spec), asked | parse_settings(config.settings))
    digest = weights_digest(config.model, environment) if config.model else ""
    ready = prepared_digest(config.model) if config.model and config.prepared else ""
    return PlannerConfig(
        config.planner, **sizes, particles=config.particles, noise=config.noise, bonus=config.bonus,
        model=str(config.model or ""), model_digest=digest, prepared=ready, settings=config.settings,
        replan=config.replan, chain=config.chain, branches=config.branches,
    )  # fmt: skip


def _work(
    config: CollectConfig, environment: Environment, dataset: Dataset, units: list[CollectionJob], console: Terminal,
    tracker: Tracker,
) -> None:  # fmt: skip
    todo = missing(dataset, units)
    total = sum(unit.total_steps for unit in units)
    already = total - sum(unit.total_steps for unit in todo)
    if already:
        console.say(f"{already:,} of {total:,} steps were collected before and are kept")
    there, collected = (len(dataset), dataset.steps), list[CollectionJob]()
    began = time.perf_counter()
    with progress_bar(console, "collecting", total, "steps", already) as advance:

        def show(unit: CollectionJob) -> None:
            advance(unit.total_steps)
            collected.append(unit)
            steps, spent = sum(one.total_steps for one in collected), time.perf_counter() - began
            episodes = there[0] + sum(one.episodes for one in collected)
            curves = {"episodes": episodes, "steps_per_second": steps / spent}
            tracker.log(curves, "environment_steps", there[1] + steps)

        engine = make_engine(config.engine, config.workers, config.address)
        collect(environment, dataset, todo, engine, show)
    seconds = time.perf_counter() - began
    if todo:
        rate = f"{total - already:,} steps in {seconds:.1f} s, {(total - already) / seconds:,.0f} per second"
        console.say(f"collected {rate}")
