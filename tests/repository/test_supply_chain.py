"""What the functions install: pinned, hashed, and with its terms listed."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path

from local.functions import PROJECT

REQUIREMENTS = (PROJECT / "requirements.txt").read_text("utf-8")
PINNED = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", REQUIREMENTS, re.MULTILINE))
PACKAGE = PROJECT / "pendo_aep"
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
_PACKAGES = packages_distributions()


def test_everything_is_pinned_and_hashed() -> None:
    """Each line that names something names one version of it, and hashes of its files."""
    entries = re.findall(r"^[^\s#].*(?:\n +--hash.*)*", REQUIREMENTS, re.MULTILINE)

    assert len(entries) == len(PINNED) > 30
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_is_declared_is_pinned() -> None:
    """Each dependency of the project is in the file that the functions install."""
    assert set(DECLARED["dependencies"]) <= PINNED.keys()


def test_what_is_imported_is_declared() -> None:
    """No import relies on what another package happens to bring; only commands may need `ops`."""
    of_all = {*DECLARED["dependencies"]}
    of_ops = {line.partition("==")[0] for line in DECLARED["optional-dependencies"]["ops"]}
    undeclared = {
        (str(path.relative_to(PROJECT)), module)
        for path in (PROJECT / "main.py", *PACKAGE.rglob("*.py"))
        for module in imported(path)
        if package_of(module) not in of_all | (of_ops if path.parent.name == "cli" else set())
    }
    assert undeclared == set()


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or in a function; not Python's, and not ours."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] not in {*sys.stdlib_module_names, "pendo_aep", "main"}:
                yield name


def has_file(package: str, path: Path) -> bool:
    """Is the file the package's?"""
    return any(path == Path(str(file.locate())) for file in files(package) or ())


@cache
def package_of(module: str) -> str:
    """The name of the installed package that has a module: `google-auth` has `google.auth`."""
    names = {*_PACKAGES[module.partition(".")[0]]}
    if len(names) > 1:  # as `google`
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None, f"{module} belongs to several packages"
        names = {name for name in names if has_file(name, Path(spec.origin))}
    (name,) = names
    return re.sub(r"[-_.]+", "-", name).lower()


def test_licences_are_those_of_what_is_pinned() -> None:
    """The page names each at its version: `make licences` after `make lock`."""
    page = (PROJECT / "docs" / "licences.md").read_text("utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in page.splitlines()[2:]]

    assert {name.lower().replace("_", "-"): version for name, version in rows} == PINNED
