"""Escaping of CSV cells that a spreadsheet would run as formulas."""

import re

_FORMULA = "[=+\\-@\t\r\n＝＋－＠]"  # the wide signs too: some spreadsheets take them for the narrow ones
_RUN = re.compile(f"'*{_FORMULA}")
_KEPT = re.compile(f"'+{_FORMULA}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def as_cell(value: object) -> object:
    """`value` as a spreadsheet may see it: text that it would run begins with an apostrophe; numbers stay."""
    if isinstance(value, str) and _RUN.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"  # also where apostrophes come first: else they would be lost when it is read
    return value


def of_cell(text: str) -> str:
    """The text that `as_cell` made a cell of."""
    return text[1:] if text.startswith("'") and _KEPT.match(text) else text
