"""`mbtransfer benchmark`: a published protocol, seed by seed, and its table."""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from mbtransfer.alone import alone
from mbtransfer.atomic import write_text
from mbtransfer.benchmark import as_markdown, read_protocol, run_seed
from mbtransfer.config import BenchmarkConfig
from mbtransfer.errors import UserError

HOME = Path("runs/benchmark")


def run_benchmark(config: BenchmarkConfig, console: Console | None = None) -> str:
    """Run what is missing, print the table and write it.

    Raises:
        UserError: no such protocol, or a folder with results of another one.
    """
    console, protocol = console or Console(), read_protocol(config.name)
    seeds = list(dict.fromkeys(config.seeds))
    if not seeds:
        raise UserError("nothing to run: give at least one seed")
    home = config.out or HOME / protocol.name
    found = []
    for seed in seeds:
        folder = home / f"seed-{seed}"
        console.rule(f"{protocol.name}, seed {seed}")
        with alone(folder):
            found.append(run_seed(protocol, folder, seed, config.workers, console))
    text = as_markdown(protocol, found)
    target = config.table or home / "results.md"
    write_text(target, text)
    console.print(Markdown(text))
    console.print(f"written to {target}", highlight=False, soft_wrap=True)
    return text
