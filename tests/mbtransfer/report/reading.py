"""Reads a report as a browser and its user would; not a test."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from mbtransfer.report import write_report


class Page(HTMLParser):
    """Collects what a browser would fetch and what a reader would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "poster")
        ]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))
