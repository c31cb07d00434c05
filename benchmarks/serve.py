"""Does a server keep up with robots? `python -m benchmarks.serve --model MODEL [--robots 1 8] [--seconds 60]`.

`mbtransfer serve` runs in a process of its own, and robots in this one send observations of the model's pool over
loopback, so many per second each (`--hz`). With `--simulated` no time is waited: a robot sends the next observation
as soon as it has its answer, until it has sent as many as in so many seconds.

Told are the round trip, and the round trip beside the decision: less the decision itself and less the time that the
observation waited for other decisions, both as the server measured them. What robots do to ask and to read the answer
counts, and so does the way between the server's threads. Then how many answers there were
for how many observations, how many of them were the safe action and why, and how much memory the server had after a
tenth of the time and at the end.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import msgpack
import numpy as np
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_once

from mbtransfer.model import Model
from mbtransfer.runtime.files import write_json
from mbtransfer.serve.event_loop import run

WARM_UP = 10
"""First answers of each robot that do not count, because memory is still being allocated."""


@dataclass
class Tally:
    """What the robots saw. Times are milliseconds; `beside` is the round trip less decision and waiting."""

    sent: int = 0
    answered: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    trip: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    decision: list[float] = field(default_factory=list)


async def drive(
    address: str, obs: np.ndarray, tally: Tally, *, task: str, hz: float, count: int, simulated: bool
) -> None:
    """One robot; `obs` are observations [B, O] that it sends in turns."""
    rows = obs.astype(float).tolist()
    async with connect(address, compression=None, proxy=None) as socket:
        await socket.recv()
        await socket.send(msgpack.packb({"type": "goal", "id": 0, "task": task}))
        told = msgpack.unpackb(await socket.recv())
        if told["type"] == "error":
            raise SystemExit(told["error"])
        due = perf_counter()
        for number in range(1, count + WARM_UP + 1):
            if not simulated:
                due = max(due + 1 / hz, perf_counter())
                await asyncio.sleep(due - perf_counter())
            begin = perf_counter()
            message = {"type": "observe", "id": number, "obs": rows[number % len(rows)]}
            await socket.send(msgpack.packb(message))
            tally.sent += 1
            answer = msgpack.unpackb(await socket.recv())
            trip = 1e3 * (perf_counter() - begin)
            tally.answered += answer["type"] == "action" and answer["id"] == number
            if number > WARM_UP:
                note(tally, answer, trip)


def note(tally: Tally, answer: dict[str, Any], trip: float) -> None:
    """Add an answer; one without a decision has no time beside it."""
    tally.trip.append(trip)
    if answer["safe"]:
        tally.faults[answer["fault"]] += 1
    if answer["decision_ms"] is not None:
        tally.decision.append(answer["decision_ms"])
        tally.beside.append(trip - answer["decision_ms"] - answer["wait_ms"])


def memory_of(process: int) -> float:
    """Resident memory, MiB; not a number where the system does not tell."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    except OSError:
        return float("nan")
    return float("nan") if found is None else int(found[1]) / 1024


async def measure(
    address: str, process: int, obs: np.ndarray, robots: int, asked: argparse.Namespace
) -> dict[str, Any]:
    """So many robots at a time."""
    tally, count = Tally(), max(1, round(asked.hz * asked.seconds))
    memory, due = [memory_of(process)], robots * (count + WARM_UP)

    async def watch() -> None:
        while tally.sent < due // 10:
            await asyncio.sleep(0.05)
        memory.append(memory_of(process))

    work = [
        drive(address, np.roll(obs, 7 * k, axis=0), tally, task=asked.task, hz=asked.hz, count=count,
              simulated=asked.simulated)
        for k in range(robots)
    ]  # fmt: skip
    begin = perf_counter()
    await asyncio.gather(watch(), *work)
    memory.append(memory_of(process))
    return {
        "robots": robots, "seconds": perf_counter() - begin, "sent": tally.sent, "answered": tally.answered,
        "safe": dict(tally.faults), "memory_mib": memory,
        **{f"{name}_ms": shares(getattr(tally, name)) for name in ("trip", "beside", "decision")},
    }  # fmt: skip


def shares(times: list[float]) -> dict[str, float]:
    """Percentiles; none of nothing."""
    return {f"p{p}": float(np.percentile(times, p)) for p in (50, 99)} if times else {}


def line_of(found: dict[str, Any]) -> str:
    """A measurement in a line."""

    def told(name: str) -> str:
        each = found[f"{name}_ms"]
        return f"{each['p50']:.2f} / {each['p99']:.2f} ms" if each else "-"

    early, late = found["memory_mib"][1:]
    safe = ", ".join(f"{n} {why}" for why, n in found["safe"].items()) or "none"
    return (
        f"{found['robots']} robots: {found['answered']} of {found['sent']} answered in {found['seconds']:.0f} s; "
        f"p50 / p99: round trip {told('trip')}, decision {told('decision')}, beside it {told('beside')}; "
        f"safe actions: {safe}; memory {early:.1f} to {late:.1f} MiB"
    )


def start(asked: argparse.Namespace) -> tuple[subprocess.Popen[str], str]:
    """The server's process, and its address."""
    command = [
        sys.executable,
        "-m",
        "mbtransfer",
        "serve",
        "--model",
        asked.model,
        "--port",
        "0",
        *asked.serve,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"ws://\S+", line):
            return process, found[0]
        print(line, end="", file=sys.stderr)
    raise SystemExit(process.wait())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", default="drawer_open")
    parser.add_argument("--robots", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--hz", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("serve", nargs="*", help="flags of mbtransfer serve, after --")
    asked = parser.parse_args(argv)
    obs = Model.load(asked.model, device="cpu").pool.obs.numpy()[:997]
    process, address = start(asked)
    try:
        with connect_once(address, proxy=None) as socket:
            socket.recv()
        found = []
        for robots in asked.robots:
            found.append(run(measure(address, process.pid, obs, robots, asked)))
            print(line_of(found[-1]), flush=True)
            sleep(0.2)
    finally:
        process.terminate()
        process.wait()
    if asked.json:
        settings = {name: getattr(asked, name) for name in ("task", "hz", "seconds", "simulated", "serve")}
        write_json(asked.json, {"measured": found, "settings": settings})
    return 0 if all(one["sent"] == one["answered"] for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
