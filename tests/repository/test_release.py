"""A release is made of what the changelog says."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path

import pytest

from local.functions import PROJECT

RELEASE = PROJECT / ".ci" / "release"
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\nFirst.\n"
)


def git(repository: Path, *arguments: str) -> str:
    """What git says."""
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ("git", *who, *arguments)
    return subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with something to release."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n', "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Test")
    git(tmp_path, "config", "user.email", "test@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=First")
    return tmp_path


def release(repository: Path, version: str) -> subprocess.CompletedProcess[str]:
    """What `.ci/release` answers."""
    return subprocess.run(
        (RELEASE, version), cwd=repository, check=False, capture_output=True, text=True
    )


def test_a_release_is_tagged_with_its_notes(repository: Path) -> None:
    """Changelog and project have the version, and the tag says what changed."""
    done = release(repository, "0.2.0")

    assert (done.returncode, done.stderr) == (0, "")
    changelog = (repository / "CHANGELOG.md").read_text("utf-8")
    assert changelog.startswith("# Changelog\n\n## Unreleased\n\n## 0.2.0 - 20")
    assert changelog.endswith("### Added\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\nFirst.\n")
    assert 'version = "0.2.0"' in (repository / "pyproject.toml").read_text("utf-8")
    assert git(repository, "tag", "--list", "--format=%(contents)") == "### Added\n- A thing.\n\n"
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("version", "why"),
    [("1.2", "is no version"), ("0.2.0", "not committed"), ("0.1.0", "there already")],
)
def test_what_is_not_ready_is_not_released(repository: Path, version: str, why: str) -> None:
    """A wrong version, one that is there, uncommitted changes: an error, and nothing changes."""
    git(repository, "tag", "v0.1.0")
    if version == "0.2.0":
        (repository / "new.txt").write_text("new\n", "utf-8")
    before = git(repository, "log", "--format=%H")

    done = release(repository, version)

    assert done.returncode == 1
    assert why in done.stderr
    assert git(repository, "log", "--format=%H") == before


def test_nothing_to_release(repository: Path) -> None:
    """A second release with nothing new in the changelog is refused."""
    assert release(repository, "0.2.0").returncode == 0

    done = release(repository, "0.3.0")

    assert done.returncode == 1
    assert "nothing stands under" in done.stderr


# The audit in `.ci/run`: skipped where there is no advisory database, and only there.
#
# The stand-in of pip-audit answers as version 2.10.1 was seen to. The real one also prints tables and
# retries; what it does with an answer in a new form, only a run against PyPI can tell.


SKIPPED = "audit: SKIPPED"
VULNERABLE = (
    '{"dependencies": [{"name": "aiohttp", "version": "3.9.0",'
    ' "vulns": [{"id": "PYSEC-2024-24", "fix_versions": ["3.9.2"]}]}], "fixes": []}'
)
UNKNOWN = (
    '{"dependencies": [{"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could'
    ' not be audited: aiohttp (3.9.0)"}], "fixes": []}'
)
# What the first look prints and exits with, and what the audit of requirements.txt exits with.
CASES = {
    "out of reach": ("", 1, 1, 0, True),
    "a mirror without advisories": (UNKNOWN, 0, 0, 0, True),
    "nothing found": (VULNERABLE, 1, 0, 0, False),
    "a vulnerability": (VULNERABLE, 1, 1, 2, False),
}


@pytest.mark.parametrize(("said", "looked", "audited", "exits", "skips"), CASES.values(), ids=CASES)
def test_the_audit(
    said: str, looked: int, audited: int, exits: int, skips: bool, tmp_path: Path
) -> None:
    """A vulnerability fails the run; a database out of reach is said, and fails nothing."""
    program = tmp_path / "bin" / "pip-audit"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env bash\n"
        f"[[ $2 == requirements.txt ]] && exit {audited}\n"
        f"printf %s '{said}'\n"
        f"exit {looked}\n"
    )
    program.chmod(0o755)
    (tmp_path / "release").touch()  # nothing to install

    environ = {**os.environ, "VENV": str(tmp_path)}
    done = subprocess.run(
        [PROJECT / ".ci" / "audit"], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, SKIPPED in done.stdout) == (exits, skips), done.stdout + done.stderr


# What the functions install: pinned, hashed, and with its terms listed.


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
        if package_of(module) not in of_all | (of_ops if path.parent.name == "commands" else set())
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
