"""The protocol behind the README's table: the demo under several seeds, and what they came to together.

    python -m benchmarks.kitchen --out runs/kitchen --seeds 0 1 2 --update-readme

A seed whose `summary.json` is there is not run again; one that was interrupted goes on where it stopped.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.results import aggregate, as_markdown
from mbtransfer.config import cores
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import write_json, write_text

BEGIN, END = "<!-- results -->", "<!-- /results -->"
TARGETS = ("README.md", "docs/results.md")


def run_seed(out: Path, seed: int, episodes: int, more: list[str]) -> Path:
    """The demo of one seed, unless it is finished; its folder.

    Raises:
        UserError: the demo failed.
    """
    folder = out / f"seed-{seed}"
    if (folder / "summary.json").is_file():
        print(f"seed {seed}: kept from before ({folder})", flush=True)
        return folder
    command = [sys.executable, "-m", "mbtransfer", "demo", "--out", str(folder), "--seed", str(seed)]
    command += ["--episodes", str(episodes), *more]
    print("$", " ".join(command[2:]), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise UserError(f"the demo of seed {seed} ended with exit code {code}; run again to continue")
    return folder


def put_between(path: Path, text: str) -> None:
    """Replace what stands between the two markers; a file that is not there is made.

    Raises:
        UserError: the file lacks a marker.
    """
    old = path.read_text(encoding="utf-8") if path.is_file() else f"# Results\n\n{BEGIN}\n{END}\n"
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} lacks the markers {BEGIN} and {END}")
    write_text(path, f"{before}{BEGIN}\n{text.strip()}\n{END}{after}")


def main() -> int:
    """Run, aggregate, write; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kitchen", description="Measure the kitchen.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the demos and the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument("--episodes", type=int, default=5, help="episodes per task, recipe and seed (5)")
    parser.add_argument("--update-readme", action="store_true", help=f"write into {' and '.join(TARGETS)}")
    asked, more = parser.parse_known_args()  # what is not known here is for the demo, such as --no-video
    try:
        folders = [run_seed(asked.out, seed, asked.episodes, more) for seed in asked.seeds]
        results = aggregate(folders) | {"cores": cores(), "gpu": torch.cuda.is_available()}
        write_json(asked.out / "results.json", results)
        text = as_markdown(results)
        write_text(asked.out / "results.md", text)
        for name in TARGETS if asked.update_readme else ():
            put_between(Path(__file__).parent.parent / name, text)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
