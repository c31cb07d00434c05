"""The guard: a foreign `tasks`, `world_models` or `planners` is named before it can do harm."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mbtransfer
from mbtransfer import import_guard as siblings

IMPORT = "import mbtransfer; print(mbtransfer.__version__)"


def run_python(
    code: str, *folders: Path, flags: tuple[str, ...] = ("-P",)
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter with `folders`, not the current one, first on its import path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder like site-packages that holds mbtransfer and bare siblings."""
    home = tmp_path / "site"
    for file in (siblings.HOME / "mbtransfer").glob("*.py"):
        write(home / "mbtransfer" / file.name, file.read_text(encoding="utf-8"))
    for name in siblings.SIBLINGS:
        write(home / name / "__init__.py")
    return home


def record(site: Path, distribution: str, *packages: str) -> None:
    """Pretend that `distribution` installed the packages as they are now, as a wheel does."""
    lines = []
    for package in packages:
        digest = hashlib.sha256((site / package / "__init__.py").read_bytes()).digest()
        value = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        lines.append(f"{package}/__init__.py,sha256={value},1\n")
    folder = site / f"{distribution}-1.0.dist-info"
    write(folder / "METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    write(folder / "RECORD", "".join(lines))


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stderr.strip().splitlines()[-1]


def test_our_own_siblings_pass() -> None:
    result = run_python(IMPORT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == mbtransfer.__version__


@pytest.mark.parametrize("name", siblings.SIBLINGS)
@pytest.mark.parametrize("form", ["{}/__init__.py", "{}.py"])
def test_an_intruder_before_ours_is_named(tmp_path: Path, name: str, form: str) -> None:
    file = write(tmp_path / "other" / form.format(name), "raise SystemExit('the intruder ran')")
    line = last_line(run_python(IMPORT, tmp_path / "other"))
    assert line.startswith("ImportError: mbtransfer: ")
    assert str(file.parent if file.name == "__init__.py" else file) in line
    assert str(siblings.HOME / name) in line
    assert "Rename or uninstall" in line


def test_an_intruder_that_was_imported_first_is_named(tmp_path: Path) -> None:
    write(tmp_path / "tasks" / "__init__.py")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tasks; sys.path.pop(0); {IMPORT}"
    assert str(tmp_path / "tasks") in last_line(run_python(code))


def test_a_missing_sibling_is_named(site: Path) -> None:
    shutil.rmtree(site / "planners")
    line = last_line(run_python(IMPORT, site, flags=("-P", "-S")))  # -S: no site-packages, so none elsewhere
    assert line.startswith(f"ImportError: mbtransfer: `planners` is missing beside {site / 'mbtransfer'}")
    assert "Reinstall it" in line


def test_a_sibling_left_without_its_code_is_named(site: Path) -> None:
    (site / "planners" / "__init__.py").unlink()  # what uninstalling an overwriting distribution leaves
    line = last_line(run_python(IMPORT, site, flags=("-P", "-S")))
    assert f"`planners` has no __init__.py in {site / 'planners'}" in line
    assert "Reinstall it" in line


def test_a_module_in_the_starting_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "tasks.py")
    code = f"import os; os.chdir({str(tmp_path)!r}); {IMPORT}"
    assert str(tmp_path / "tasks.py") in last_line(run_python(code, flags=()))


def test_symlinks_are_followed(site: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(site)
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "tasks").symlink_to(site / "tasks")
    result = run_python(IMPORT, tmp_path / "apart", link)
    assert result.returncode == 0, result.stderr


def test_a_package_that_was_overwritten_is_named(site: Path) -> None:
    record(site, "mbtransfer", "mbtransfer", *siblings.SIBLINGS)
    assert run_python(IMPORT, site).returncode == 0
    write(site / "tasks" / "__init__.py", "# somebody else's")
    record(site, "taskrunner", "tasks")
    line = last_line(run_python(IMPORT, site))
    assert str(site / "tasks" / "__init__.py") in line
    assert "uninstall `taskrunner`" in line


def test_an_edited_package_is_not_refused(site: Path) -> None:
    record(site, "mbtransfer", "mbtransfer", *siblings.SIBLINGS)
    write(site / "tasks" / "__init__.py", "# edited by hand")
    assert run_python(IMPORT, site).returncode == 0


def test_the_error_carries_name_and_path(tmp_path: Path) -> None:
    with pytest.raises(ImportError) as caught:
        siblings.verify(home=tmp_path, names=("tasks",))
    assert caught.value.name == "tasks"
    assert caught.value.path == str(siblings.HOME / "tasks" / "__init__.py")


def test_importing_the_package_loads_nothing_heavy() -> None:
    unwanted = ("world_models", "planners", "tasks.spec", "mujoco", "torch")
    code = f"import sys, mbtransfer; print([name for name in {unwanted} if name in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"


def test_every_public_name_can_be_loaded() -> None:
    for name in mbtransfer.__all__:
        assert getattr(mbtransfer, name) is not None
        assert name in dir(mbtransfer)


def test_a_public_name_is_loaded_when_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mbtransfer.PUBLIC, "verify", "mbtransfer.import_guard")
    monkeypatch.setattr(mbtransfer, "verify", None, raising=False)  # so that the name is taken away again
    del mbtransfer.verify
    assert mbtransfer.verify is siblings.verify


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        mbtransfer.Agnet  # noqa: B018


def test_editors_see_the_public_names_where_they_are_defined() -> None:
    tree = ast.parse(Path(str(mbtransfer.__file__)).read_text(encoding="utf-8"))
    (block,) = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == mbtransfer.PUBLIC
