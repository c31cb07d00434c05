"""`mbtransfer label`: choose transitions, and have them labelled by a task, by a person or in a spreadsheet."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table

from mbtransfer.config import LabelConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.labels.active import FEWEST, active_transitions, held_out, label_counts, random_transitions
from mbtransfer.labels.example_files import read_preferences, read_successes
from mbtransfer.labels.label_file import LabelTable, read_labels, write_labels
from mbtransfer.labels.labelled_task import SUFFIX
from mbtransfer.labels.person import ask_person
from mbtransfer.labels.preferences import labels_from_preferences
from mbtransfer.labels.quality import MEASURABLE, cross_validated_errors, held_out_errors
from mbtransfer.labels.successes import labels_from_successes
from mbtransfer.model import LABELS, Model
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file
from mbtransfer.task_guard import check_finite
from tasks.task import Task
from world_models.rewards.head import Labels
from world_models.transitions import Transitions

COUNT = 100
"""Labels, unless the number is given."""


def run_label(config: LabelConfig, console: Terminal | None = None) -> list[dict[str, Any]]:
    """Choose and label transitions batch by batch, and say after each how well a head of the labels does.

    Returns:
        The content of the `--json` file: the errors after each batch.

    Raises:
        UserError, TaskError, ModelError: the input is wrong.
        FaultyTask: the task that labels fails, or gives rewards that are not finite.
    """
    console = console or Terminal()
    _check_flags(config)
    check_writable(config.out, config.json)
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    spec, count = model.environment.spec, config.count or LABELS
    if config.successes:
        examples = read_successes(config.successes, spec).to(model.device)
        labels = labels_from_successes(model, examples, count)
    elif config.preferences:
        labels = labels_from_preferences(model, *read_preferences(config.preferences, spec), count)
    else:
        return _label(config, model, console)
    write_labels(config.out, LabelTable.of(labels), spec)
    console.say(f"wrote {config.out} with {len(labels.reward):,} labels")
    return []


def _check_flags(config: LabelConfig) -> None:
    if config.out.suffix != SUFFIX:
        raise UserError(f"--out {config.out} does not end with {SUFFIX}; name a label file")
    given = {
        "--task or --task-file": config.task or config.task_file, "--person": config.person,
        "--successes": config.successes, "--preferences": config.preferences,
    }  # fmt: skip
    several = [flag for flag, value in given.items() if value]
    if len(several) > 1:
        raise UserError(f"{' and '.join(several)} are given; choose one to label")
    if config.successes or config.preferences:
        if config.out.exists():
            raise UserError(
                f"{config.out} exists; labels from examples cannot continue it, so name another file"
            )
        unused = {"--active": config.active, "--labels-file": config.labels_file, "--json": config.json}
        for flag in (flag for flag, value in unused.items() if value):
            raise UserError(
                f"{flag} does not go with {several[0]}, by which the whole file is labelled at once"
            )
    elif config.active and (config.count or COUNT) <= FEWEST:
        raise UserError(
            f"--active begins with {FEWEST} random labels; give a larger --count than {config.count}"
        )


def _label(config: LabelConfig, model: Model, console: Terminal) -> list[dict[str, Any]]:
    """Label transitions batch by batch; see `run_label`."""
    spec, task, table = model.environment.spec, _task(config, model), _begun(config, model)
    name, found = task.name if task else config.out.stem, list[dict[str, Any]]()
    counts = label_counts(config.count or COUNT, active=config.active)
    for count in [count for count in counts if count >= len(table)] or counts[-1:]:
        if (more := count - len(table)) > 0:
            table = table.and_also(_next(model, name, table, more, at_random=count == counts[0]))
            write_labels(config.out, table, spec)
        for answered in _answered(table, task, config, model, console):
            table = answered
            write_labels(config.out, table, spec)
        if missing := int(table.open.sum()):
            again = " and run the same command again" if count < counts[-1] else ""
            console.say(f"{config.out}: fill in reward and success (1 or 0) of {missing} rows{again}")
            break
        found.append(_judged(model, name, task, table.labels, compared=config.active))
        console.say(_line(found[-1]))
    else:
        console.say(f"wrote {config.out} with {len(table):,} labels")
    if task and config.active:
        console.print(_comparison(found))
    if config.json is not None:
        write_json(config.json, found)
    return found


def _task(config: LabelConfig, model: Model) -> Task | None:
    """The task that labels, if there is one."""
    own = load_task_file(config.task_file, model.environment) if config.task_file else []
    if config.task is None and not own:
        return None
    if config.task is None and len(own) > 1:
        raise UserError(
            f"{config.task_file} defines {', '.join(one.name for one in own)}; choose with --task"
        )
    task = find_task(model.environment, config.task or own[0].name, own)
    if task.privileged:
        raise UserError(f"{task.name} is judged by the simulator's state, which a label file does not hold")
    return task


def _begun(config: LabelConfig, model: Model) -> LabelTable:
    """What has been labelled before."""
    spec = model.environment.spec
    start = config.out if config.out.exists() else config.labels_file
    if start is not None:
        return read_labels(start, spec)
    return LabelTable.blank(model.pool[slice(0, 0)])


def _next(model: Model, name: str, table: LabelTable, count: int, *, at_random: bool) -> LabelTable:
    """The next transitions, without labels."""
    choose = random_transitions if at_random else active_transitions
    chosen = choose(model, name, table, count)
    if len(chosen) < count:
        raise UserError(f"--count is more than the model's pool offers: {len(table) + len(chosen)}")
    return LabelTable.blank(chosen)


def _answered(
    table: LabelTable, task: Task | None, config: LabelConfig, model: Model, console: Terminal
) -> Iterator[LabelTable]:
    """The table with more and more labels, as far as somebody is there to give them."""
    rows = table.open
    if task is not None and bool(rows.any()):
        labels = _labelled(task, table.transitions[rows])
        yield table.answered(rows, labels.reward, labels.success)
    elif config.person:
        yield from ask_person(table, model.environment.spec, console)


def _labelled(task: Task, some: Transitions) -> Labels:
    reward = task.reward(some.obs, some.actions, some.next_obs)
    check_finite(task, reward, "transitions to label")
    return Labels(some.obs, some.actions, some.next_obs, reward, task.success(some.next_obs))


def _judged(model: Model, name: str, task: Task | None, labels: Labels, *, compared: bool) -> dict[str, Any]:
    """Errors of a head of these labels and, where that can be known, of one of as many random labels."""
    count, layout = len(labels.reward), model.dynamics.layout
    found: dict[str, Any] = {"labels": count}
    if count < MEASURABLE:
        return found
    if task is None:
        return found | asdict(cross_validated_errors(layout, labels))
    truth = _labelled(task, held_out(model, name).to("cpu"))
    found |= asdict(held_out_errors(layout, labels, truth))
    if compared:
        others = _labelled(task, random_transitions(model, name, None, count).to("cpu"))
        errors = asdict(held_out_errors(layout, others, truth))
        found |= {f"random_{key}": value for key, value in errors.items()}
    return found


def _line(batch: dict[str, Any]) -> str:
    if "rank_error" not in batch:
        return f"{batch['labels']} labels: how good they are can be told from {MEASURABLE} on"
    if math.isnan(batch["rank_error"]):
        return f"{batch['labels']:,} labels: all rewards are the same, so there is nothing to learn from them"
    return (
        f"{batch['labels']:,} labels: a head puts {batch['rank_error']:.1%} of held-out pairs in the wrong order, "
        f"and gets {batch['success_error']:.1%} of successes wrong"
    )


def _comparison(batches: list[dict[str, Any]]) -> Table:
    """The gain of each batch, beside that of as many random labels."""
    table = Table(box=None, header_style="bold")
    for name in ("labels", "rank error", "success error", "at random: rank error", "success error"):
        table.add_column(name, justify="right")
    for batch in batches:
        count, *errors = batch.values()
        table.add_row(f"{count:,}", *(f"{error:.1%}" for error in errors))
    return table
