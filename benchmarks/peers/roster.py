"""Who takes part: every library whose package is installed."""

from dataclasses import dataclass
from importlib import import_module

from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work

OURS = "mbtransfer"


@dataclass(frozen=True)
class Library:
    """Where a library's entries are made, and how to get it.

    Attributes:
        module: has `entries(work)`; it imports the library, nothing else here does.
        install: what a user types.
    """

    name: str
    module: str
    install: str


LIBRARIES = (
    Library(OURS, "benchmarks.peers.ours", "pip install -e ."),
    Library(
        "mbrl", "benchmarks.peers.with_mbrl",
        "pip install -r benchmarks/peers/requirements.txt && pip install --no-deps mbrl==0.2.0",
    ),
    Library("torchrl", "benchmarks.peers.with_torchrl", "pip install torchrl==0.14.1"),
    Library("pytorch-mppi", "benchmarks.peers.with_pytorch_mppi", "pip install pytorch-mppi==0.9.1"),
)  # fmt: skip


def gather(work: Work, libraries: tuple[Library, ...] = LIBRARIES) -> tuple[list[Entry], list[str]]:
    """The entries that there are, and a line for each library that there is not."""
    entries: list[Entry] = []
    missing: list[str] = []
    for library in libraries:
        try:
            entries += import_module(library.module).entries(work)
        except ImportError as error:
            missing.append(f"{library.name} left out ({error}); to have it: {library.install}")
    return entries, missing
