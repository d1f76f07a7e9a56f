"""The wheel: what it holds, and that its command runs outside a checkout."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from local.functions import PROJECT
from local.samples import load_samples
from tests.repository.documents import files
from tests.unit.provisioning.harness import new_harness

pytestmark = pytest.mark.process

_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
# What pip makes of `[project.scripts]`.
_SCRIPT = """\
import sys
from importlib.metadata import distribution
(script,) = distribution("pendo-to-aep").entry_points.select(group="console_scripts")
sys.argv[0] = script.name
sys.exit(script.load()())
"""
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
_SAMPLES = [sample for sample in load_samples() if sample.event is not None]


@dataclass(frozen=True, slots=True)
class Installed:
    """A wheel that was unpacked, and an empty folder to run its command in."""

    site_packages: Path
    folder: Path

    @property
    def names(self) -> set[str]:
        """The paths of its files."""
        found = self.site_packages.rglob("*")
        return {str(file.relative_to(self.site_packages)) for file in found if file.is_file()}

    def run(
        self, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `pendo-aep`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AEP_")}
        return subprocess.run(
            [sys.executable, "-c", _SCRIPT, *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=inherited | {"PYTHONPATH": str(self.site_packages)} | dict(settings or {}),
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built from what git has, so that nothing else in the checkout gets in."""
    if int(metadata.version("setuptools").split(".")[0]) < 80:
        pytest.skip("setuptools is too old to build it: pip install -e '.[dev]'")
    source, wheels, site_packages, folder = (
        tmp_path_factory.mktemp(name) for name in ("source", "wheels", "installed", "elsewhere")
    )
    for file in files():
        target = source / file.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(wheels)], cwd=source, check=True, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    return Installed(site_packages, folder)


def test_it_holds_the_package_and_nothing_else(installed: Installed) -> None:
    """Every module, its types, and the data that commands read; no other top-level module."""
    package = {name for name in installed.names if name.startswith("pendo_aep/")}
    modules = {str(file.relative_to(PROJECT)) for file in files("pendo_aep/*.py")}
    samples = {f"sample_events/{sample.name}.event.json" for sample in _SAMPLES}

    assert {name.partition("/")[0] for name in installed.names} == {
        "pendo_aep",
        f"pendo_to_aep-{VERSION}.dist-info",
    }
    texts = "pendo_aep/provisioning/field_texts.toml"
    assert package == modules | {"pendo_aep/py.typed", texts} | {
        f"pendo_aep/data/{name}" for name in ("deploy/config.env", *samples)
    }


def test_its_command_runs_outside_a_checkout(installed: Installed) -> None:
    """By the name that the package installs."""
    version = installed.run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout == f"pendo-aep {VERSION}\n"
    for arguments in (["--help"], ["aep", "plan", "--help"]):
        shown = installed.run(*arguments)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert shown.stdout.startswith("usage: pendo-aep ")


def test_doctor_has_the_defaults_of_a_deployment(installed: Installed) -> None:
    """A config file with the project alone is enough: what is missing next is gcloud."""
    config = installed.folder / "my.env"
    config.write_text("PROJECT=demo\n")

    ran = installed.run("doctor", "--config", str(config), settings={"PATH": "/nowhere"})

    assert ran.returncode == 1
    assert ran.stderr.startswith("pendo-aep doctor: gcloud is not on the PATH")


async def test_aep_has_the_samples_that_it_checks_the_mapping_with(installed: Installed) -> None:
    """AEP maps each of them, as in a checkout."""
    async with new_harness() as adobe:
        await adobe.apply()
        ran = await asyncio.to_thread(
            installed.run, "aep", "plan", "--check", settings=adobe.environ
        )

    assert ran.returncode == 0, ran.stderr
    assert f"AEP maps all {len(_SAMPLES)} sample events as deliver does\n" in ran.stdout
