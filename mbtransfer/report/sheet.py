"""Style sheet and content security policy of the report."""

import base64
import hashlib
import html
import re

from markupsafe import Markup

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src data:; "
    "style-src 'sha256-{}'"
)
"""No scripts, no addresses, and no styles except the sheet with that checksum, not even `style` attributes."""


class Sheet:
    """Converts `style` attributes into classes, which the checksum of the style sheet covers."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, declarations: str) -> str:
        """The class with these declarations."""
        return self._names.setdefault(declarations, f"s{len(self._names)}")

    def at(self, left: int | float, width: int | float | None = None) -> str:
        """The class of an element whose left edge and width are these shares of the full width."""
        rest = "" if width is None else f";width:{100 * width:.1f}%"
        return self.name(f"left:{100 * left:.1f}%{rest}")

    def classed(self, svg: Markup) -> Markup:
        """A drawing of Matplotlib with classes instead of `style` attributes."""
        return Markup(re.sub(r"<[a-z][^<>]*>", lambda tag: self._moved(tag[0]), svg))

    def rules(self) -> Markup:
        """The rules of all classes so far."""
        text = "\n".join(f".{name}{{{declarations}}}" for declarations, name in self._names.items())
        assert "<" not in text, "a style sheet ends at a tag"
        return Markup(text)

    def _moved(self, tag: str) -> str:
        """A start tag with a class instead of its style; within tags, quotes in values are escaped."""
        return re.sub(
            r' style="([^"]*)"', lambda found: f' class="{self.name(html.unescape(found[1]))}"', tag
        )


def policy(sheet: str) -> str:
    """The Content-Security-Policy of a page with that style sheet."""
    return POLICY.format(base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode())
