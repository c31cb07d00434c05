"""State comes back as it was written, or is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import read_sealed, write_sealed


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.json", {"b": np.arange(2), "c": float("nan"), "1": [True, None, "ü"]})
    assert read_sealed(tmp_path / "a.json", "") == {"b": [0, 1], "c": None, "1": [True, None, "ü"]}
    assert read_sealed(tmp_path / "none.json", "") is None


def test_no_flipped_bit_and_no_cut_end_is_taken_for_what_was_written(tmp_path: Path) -> None:
    path, content = tmp_path / "a.json", {"seed": 12, "name": "drawer"}
    write_sealed(path, content)
    whole = path.read_bytes()
    spoilt = [whole[:at] for at in range(len(whole))]
    spoilt += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in range(8)
    ]
    for data in spoilt:
        path.write_bytes(data)
        try:
            assert read_sealed(path, "make it again") == content
        except UserError as error:
            assert str(error).endswith("make it again") and "\n" not in str(error)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{}", "[]", "null", '{"sha256": 1}', "1" * 5000, '{"a": NaN}']
)
def test_what_was_not_written_by_us_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="damaged") as caught:
        read_sealed(tmp_path / "a.json", "make it again")
    assert "\n" not in str(caught.value)


def test_content_without_a_checksum_is_read_where_its_version_had_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"version": 1}))
    assert read_sealed(tmp_path / "a.json", "", unsealed=lambda content: content["version"] == 1) == {
        "version": 1
    }
