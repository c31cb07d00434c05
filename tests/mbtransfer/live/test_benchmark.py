"""What the benchmark of the page takes for a picture, and how it counts."""

from __future__ import annotations

import pytest

msgpack = pytest.importorskip("msgpack", reason="needs the extra serve")
zstandard = pytest.importorskip("zstandard", reason="comes with viser")
live = pytest.importorskip("benchmarks.live", reason="a wheel comes without benchmarks")


def sent(*names: str) -> bytes:
    """A message as viser packs it: sizes, what is compressed, arrays."""
    plain = msgpack.packb({"messages": [{"type": "SetPositionMessage", "name": name} for name in names]})
    packed = zstandard.ZstdCompressor(level=1).compress(plain)
    return b"".join(
        (len(plain).to_bytes(8, "little"), len(packed).to_bytes(8, "little"), packed, b"/bodies/")
    )


def test_messages_that_move_a_body_are_pictures() -> None:
    heard = live.Heard()
    for message in (sent("/bodies/3", "/bodies/4"), sent("/plan/chosen"), sent("/bodies/1"), "text"):
        heard.take(message)
    assert len(heard.pictures) == 2 and len(heard.others) == 2
    begin, end = heard.pictures[0], heard.pictures[1]
    assert live.between(heard.pictures, begin, end) == 1  # the end does not count


def test_a_step_is_read_from_the_headline() -> None:
    found = live.STEP.search("▶ breakfast · at work · step 41 of 300 (4.1 s)")
    assert found and int(found[1]) == 41
