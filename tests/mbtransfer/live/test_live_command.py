"""What `mbtransfer live` refuses, in one line; nothing of it needs viser."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from mbtransfer.cli.commands.live import run_live
from mbtransfer.config import LiveConfig
from mbtransfer.errors import UserError


def test_it_answers_no_other_machine(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"steers the robot, so it answers this machine alone; .* ssh -L 8080:"
    ):
        run_live(LiveConfig(model=tmp_path, host="0.0.0.0"))


def test_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(UserError, match=r"needs viser: pip install 'mbtransfer\[live\]'"):
        run_live(LiveConfig(model=tmp_path))


def test_a_taken_port_is_told() -> None:
    pytest.importorskip("viser")
    from mbtransfer.live.page import HOST, open_server

    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be had .*; give another with --port"):
            open_server(port)
