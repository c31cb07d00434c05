"""`python -m benchmarks.figures.film --demo runs/demo`: the moving picture of the README, from a film of the demo."""

import argparse
from pathlib import Path

import imageio.v3 as iio
from PIL import Image

TARGET = Path(__file__).parents[2] / "docs" / "kitchen.gif"
EVERY = 2
"""Frames of the film from one picture to the next."""
COLOURS = 64


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.film", description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"), help="a finished demo (runs/demo)")
    parser.add_argument("--recipe", default="breakfast", help="a recipe that it filmed (breakfast)")
    asked = parser.parse_args()
    frames = iio.imread(asked.demo / "media" / f"{asked.recipe}.mp4")
    rate = iio.immeta(asked.demo / "media" / f"{asked.recipe}.mp4")["fps"]
    palette = Image.fromarray(frames[-1]).quantize(COLOURS)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames[::EVERY]
    ]
    first, *rest = pictures
    first.save(
        TARGET, save_all=True, append_images=rest, duration=round(1000 * EVERY / rate), loop=0, optimize=True
    )
    print(TARGET)


if __name__ == "__main__":
    main()
