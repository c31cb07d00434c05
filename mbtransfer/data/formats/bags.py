"""Reader of ROS 2 bags in MCAP: fields of topics become columns, at the control rate.

A mapping names each column as `/TOPIC.FIELD`, with `[2]` for an entry of a list, or `[elbow]` for the entry at the
place of that word in the message's `name` (as in `sensor_msgs/JointState`). At each control step's instant the last
message that the recorder had received at or before it counts (`log_time`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data.formats.convert import extra, readable
from mbtransfer.data.formats.logs import GAP, SAME, SLACK, LogNotes, LogTable, log_episodes
from mbtransfer.data.formats.mapping import ColumnMapping, MappedColumn
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, nearest

_FIELD = re.compile(r"\.(\w+)((?:\[[^\[\]]+\])?)")
_WHOLE = re.compile(r"(/[\w/]+)((?:\.\w+(?:\[[^\[\]]+\])?)+)")


@dataclass(frozen=True)
class Field:
    """One number in the messages of a topic: the way to it, and of each part the entry, if it is a list."""

    topic: str
    path: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, column: MappedColumn, mapping: ColumnMapping) -> "Field":
        """What a mapping's `from` names.

        Raises:
            UserError: it is of another form.
        """
        found = _WHOLE.fullmatch(column.source)
        if found is None:
            form = "write it like /joint_states.position[0] or /joint_states.position[elbow]"
            raise UserError(f"{mapping.where(column.source)}{column.source!r} is no field of a topic; {form}")
        return cls(found[1], tuple((name, entry[1:-1]) for name, entry in _FIELD.findall(found[2])))

    def value(self, message: Any) -> float:
        """The number in a message.

        Raises:
            LookupError, AttributeError, TypeError, ValueError: there is no such number in it.
        """
        for name, entry in self.path:
            holder, message = message, getattr(message, name)
            if entry:
                message = message[int(entry) if entry.isdigit() else list(holder.name).index(entry)]
        return float(message)


def read_bags(path: Path, mapping: ColumnMapping, spec: EnvSpec) -> Source:
    """A bag, or a folder in which each bag is an episode.

    Raises:
        UserError: no mcap packages, nothing to read, a damaged bag, a topic or field that is not there.
    """
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise UserError(
            f"mcap:{path}: {'no .mcap file in it' if path.exists() else 'no such file or folder'}"
        )
    if mapping.time or mapping.rate or mapping.episode or mapping.reward:
        raise UserError(
            f"{mapping.source}: bags have their own times, one episode each and no rewards; give columns only"
        )
    sides = [[Field.of(one, mapping) for one in side] for side in (mapping.columns, mapping.actions)]
    notes = LogNotes(
        path.name, spec.control_dt, unused=_unused(files[0], {one.topic for side in sides for one in side})
    )
    return Source(
        path.name, spec.name, tuple(one.name for one in spec.observation),
        lambda: log_episodes(lambda: _tables(files, sides, mapping, spec.control_dt), notes),
        control_dt=spec.control_dt, notes=notes,
    )  # fmt: skip


def _unused(file: Path, topics: set[str]) -> list[str]:
    make_reader = extra("mcap.reader", "logs").make_reader
    with readable(str(file)), file.open("rb") as stream:
        summary = make_reader(stream).get_summary()
        channels = summary.channels.values() if summary else ()
        return sorted({channel.topic for channel in channels} - topics)


def _tables(
    files: Sequence[Path], sides: Sequence[Sequence[Field]], mapping: ColumnMapping, control_dt: float
) -> Iterator[LogTable]:
    for number, file in enumerate(files):
        fields = [one for side in sides for one in side]
        series = _series(file, fields, mapping)
        instants, rows = resampled(file, fields, series, control_dt)
        parts = (*mapping.columns, *mapping.actions)
        values = rows * np.array([one.scale for one in parts]) + np.array([one.offset for one in parts])
        split = len(sides[0])
        yield LogTable(str(file), instants, values[:, :split], values[:, split:], file.stem, number)


def _series(
    file: Path, fields: Sequence[Field], mapping: ColumnMapping
) -> dict[str, tuple[ndarray, ndarray]]:
    """Times (s) [m] and values [m, fields of the topic] of each topic."""
    make_reader = extra("mcap.reader", "logs").make_reader
    factory = extra("mcap_ros2.decoder", "logs").DecoderFactory()
    topics = {one.topic: [other for other in fields if other.topic == one.topic] for one in fields}
    found: dict[str, tuple[list[float], list[list[float]]]] = {topic: ([], []) for topic in topics}
    with readable(str(file)), file.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[factory])
        for _, channel, message, decoded in reader.iter_decoded_messages(topics=list(topics)):
            times, values = found[channel.topic]
            times.append(message.log_time / 1e9)
            values.append([_value(one, decoded, file) for one in topics[channel.topic]])
    sources = {Field.of(one, mapping).topic: one.source for one in (*mapping.columns, *mapping.actions)}
    for topic, (times, _) in found.items():
        if len(times) < 2:
            known = nearest(topic, _unused(file, set()))
            raise UserError(f"{mapping.where(sources[topic])}{file} has no messages of {topic!r}{known}")
    return {topic: (np.array(times), np.array(values)) for topic, (times, values) in found.items()}


def _value(field: Field, message: Any, file: Path) -> float:
    try:
        return field.value(message)
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        shown = "".join(f".{name}[{entry}]" if entry else f".{name}" for name, entry in field.path)
        raise UserError(f"{file}: a message of {field.topic} has no number {shown} ({error})") from error


def resampled(
    file: Path, fields: Sequence[Field], series: dict[str, tuple[ndarray, ndarray]], control_dt: float
) -> tuple[Float[ndarray, " n"], Float[ndarray, "n C"]]:
    """Instants from when all topics have spoken until one falls silent, and the last values at each; NaN if outdated.

    Raises:
        UserError: a topic comes less often than control steps, or topics have no time in common.
    """
    for topic, (times, _) in series.items():
        period = float(np.median(np.diff(times)))
        if period > (1 + SAME) * control_dt:
            raise UserError(
                f"{file}: messages of {topic} come every {period:.4g} s, less often than control steps of "
                f"{control_dt:.4g} s; declare a control_step of {period:.4g} or more"
            )
    begin = max(times[0] for times, _ in series.values())
    ends = [times[-1] for times, _ in series.values()]
    end = min(max(ends), min(ends) + control_dt)  # the last value of a topic holds for one more control step
    if min(ends) - begin < control_dt:
        raise UserError(f"{file}: its topics {', '.join(series)} have no time in common")
    instants = begin + control_dt * np.arange(int((end - begin) / control_dt + SLACK) + 1)
    columns = []
    taken = dict.fromkeys(series, 0)
    for field in fields:
        times, values = series[field.topic]
        last = np.searchsorted(times, instants + SLACK * control_dt, side="right") - 1
        outdated = instants - times[last] > GAP * control_dt
        columns.append(np.where(outdated, np.nan, values[last, taken[field.topic]]))
        taken[field.topic] += 1
    return instants - begin, np.stack(columns, axis=1)
