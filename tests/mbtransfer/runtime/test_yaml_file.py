"""YAML that people write is read; what cannot be right, or would not end, is one line that says where."""

from pathlib import Path
from typing import Any

import pytest

from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.protocols import read_protocol
from mbtransfer.runtime.yaml_file import MOST_BYTES, read_yaml
from mbtransfer.sweep.config import read_sweep_file
from tasks.recipe import load_recipe
from tasks.registry import make

LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))])

RIGHT: dict[str, tuple[bytes, Any]] = {
    "byte order mark": (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    "Windows line ends": (b"a: 1\r\nb:\r\n  - x\r\n", {"a": 1, "b": ["x"]}),
    "words for booleans in YAML 1.1": (b"a: [on, off, yes, no]\n", {"a": ["on", "off", "yes", "no"]}),
    "booleans": (b"a: [true, False]\n", {"a": [True, False]}),
    "keys that are such words": (b"on: 1\noff: 2\n", {"on": 1, "off": 2}),
    "an anchor used twice": (b"a: &x [1, 2]\nb: *x\nc: *x\n", {"a": [1, 2], "b": [1, 2], "c": [1, 2]}),
    "merged keys": (b"a: &x {c: 1}\nb: {<<: *x, d: 2}\n", {"a": {"c": 1}, "b": {"c": 1, "d": 2}}),
    "nothing": (b"", None),
}  # fmt: skip

WRONG: dict[str, tuple[bytes, str]] = {
    "a key twice": (b"a: 1\nb: 2\na: 3\n", r":3: the key 'a' is there twice \(first on line 1\)"),
    "aliases of aliases": (LAUGHS.encode(), "aliases"),
    "an alias inside itself": (b"a: &x [*x]\n", "aliases"),
    "nested deep": (b"[" * 100_000, "nested more than"),
    "large": (b"# " + b"x" * MOST_BYTES, "larger than 1 MiB"),
    "many values": (b"a: [" + b"1," * 30_000 + b"]", "more than 20000 values"),
    "a tag": (b"a: !!python/object/apply:os.system [true]\n", ":1: the tag .* is not allowed"),
    "no YAML": (b"a: [1\nb: 2\n", ":2: "),
    "two documents": (b"a: 1\n---\nb: 2\n", "another document"),
    "not UTF-8": (b"a: 1\nb: \xff\n", ":2: not UTF-8"),
    "a date that cannot be": (b"a: 2020-13-45\n", "not YAML"),
    "a null byte": (b"a: \x00\n", "not YAML"),
    "a key that is a list": (b"? [1]\n: 2\n", "unhashable"),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_people_write_is_read(kind: str, tmp_path: Path) -> None:
    content, expected = RIGHT[kind]
    (tmp_path / "a.yaml").write_bytes(content)
    assert read_yaml(tmp_path / "a.yaml") == expected


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_right_is_one_line(kind: str, tmp_path: Path) -> None:
    content, said = WRONG[kind]
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    kitchen = make("kitchen")
    for read in (
        read_sweep_file,
        lambda file: read_protocol(str(file)),
        lambda file: load_recipe(file, kitchen),
    ):
        with pytest.raises(USER_ERRORS) as refused:
            read(path)
        assert "\n" not in str(refused.value)


def test_sweep_files_are_read_as_wandb_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [on, no]\n")
    assert read_yaml(tmp_path / "a.yaml", words_as_booleans=True) == {"a": [True, False]}


@pytest.mark.parametrize("name", ["on", "off", "yes", "no", "null", "1e3", "true"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_recipe_may_have_any_word_for_a_name(name: str, ends: str, tmp_path: Path) -> None:
    path, text = tmp_path / "a.yaml", f'name: "{name}"\nsteps:\n  - light_on\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", ends).encode())
    assert load_recipe(path, make("kitchen")).name == name
    if name != "null":
        path.write_text(text.replace('"', ""))
        assert load_recipe(path, make("kitchen")).name == name
