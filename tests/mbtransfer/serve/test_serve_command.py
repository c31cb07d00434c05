"""What `mbtransfer serve` refuses, in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mbtransfer.cli.commands.serve import TOKEN, run_serve
from mbtransfer.config import ServeConfig
from mbtransfer.errors import UserError
from world_models.errors import ModelError


def test_other_machines_need_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(UserError, match=r"--host 0.0.0.0: whoever reaches the port .* set MBTRANSFER_TOKEN"):
        run_serve(ServeConfig(model=tmp_path, host="0.0.0.0"))


@pytest.mark.parametrize("token", ["short", "a token with some blanks", "a-token-with-an-umlaut-ü"])
def test_a_token_that_is_no_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(UserError, match="MBTRANSFER_TOKEN must have at least 16 plain characters"):
        run_serve(ServeConfig(model=tmp_path))


def test_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(UserError, match=r"needs websockets.*: pip install 'mbtransfer\[serve\]'"):
        run_serve(ServeConfig(model=tmp_path))


def test_a_folder_that_holds_no_model_is_told(tmp_path: Path) -> None:
    pytest.importorskip("websockets")
    pytest.importorskip("prometheus_client")
    before = sys.getswitchinterval()
    with pytest.raises(ModelError, match="is not a model"):
        run_serve(ServeConfig(model=tmp_path / "nothing"))
    assert sys.getswitchinterval() == before
