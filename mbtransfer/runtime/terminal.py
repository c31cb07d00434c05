"""Terminal output of tables, bars and styled lines; text is printed literally."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mbtransfer.runtime.streams import printable, single_line


class Terminal(Console):
    """A console that takes every text as it is: `[red]` is no markup, `:key:` no emoji, an escape character no order.

    Colours and movements of the cursor come from rich alone.

    Args:
        settings: those of `rich.console.Console`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"markup": False, "emoji": False, "highlight": False})

    def say(self, line: str | Text, style: str | None = None) -> None:
        """Print one line, which the terminal may wrap but nobody else: it may hold a path to be copied."""
        self.print(line, style=style, soft_wrap=True)

    def render_str(self, text: str, **settings: Any) -> Text:
        """See `Console.render_str`; cells of tables and printed strings pass here, before they are measured."""
        return super().render_str(single_line(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console.render`; everything passes here, also a `Text` that was not made by `styled`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line for the terminal; each part is a text, or a text and its style."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((single_line(text), style) for text, style in pairs))


def plain_table(*headings: str) -> Table:
    """An empty table without lines: names at the left, and numbers under the headings."""
    table = Table(box=None, header_style="bold")
    for heading in ("", *headings):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    return table
