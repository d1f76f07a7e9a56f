"""What gcloud uploads is what the functions import, and it is enough to run them."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import functions as local_functions
from local.aep import AepServer
from local.gcp import GoogleServer
from local.pipeline import run_pipeline
from local.pubsub import PubSubServer
from local.sample_trace import trace_sample
from local.samples import load_samples
from pendo_aep.gcp.config import read_config
from pendo_aep.gcp.deploy.functions import SOURCE, desired_functions, function_resource
from tests.unit.gcp.deploy.deploy_env import ID, DeployEnv, write_config
from tests.unit.gcp.deploy.deploy_lifecycle import prepare_for_receive

pytestmark = pytest.mark.process

_IMPORT = """
import json, sys
import main
assert callable(getattr(main, sys.argv[1]))
print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "pendo_aep"]))
"""
_NEVER_LOADED = ("pendo_aep.__main__", "pendo_aep.cli", "pendo_aep.gcp", "pendo_aep.provisioning")


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that `.gcloudignore` leaves; git reads the rules as gcloud does."""
    folder = tmp_path_factory.mktemp("upload")
    for name in _git_files(SOURCE, "ls-files"):
        if (SOURCE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / name, folder / name)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    kept = _git_files(folder, "ls-files", "--others", "--exclude-from=.gcloudignore")
    for path in [*folder.rglob("*")]:
        if path.is_file() and str(path.relative_to(folder)) not in kept:
            path.unlink()
    return folder


def _git_files(folder: Path, *command: str) -> set[str]:
    listed = subprocess.run(
        ["git", "-C", str(folder), *command, "-z"], capture_output=True, text=True, check=True
    )
    return set(listed.stdout.split("\0")) - {""}


def test_only_what_the_functions_import_is_uploaded(uploaded: Path) -> None:
    """No command, no set-up and no documentation: every module is reached from `main.py`."""
    files = _files(uploaded)
    modules = {_module(name): name for name in files if name.endswith(".py")}

    assert files - set(modules.values()) == {"requirements.txt"}
    reached, waiting = set(), {"main"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        names = _imports(uploaded / modules[name]) | _packages(name)
        waiting |= (names & modules.keys()) - reached
    assert reached == modules.keys()


@pytest.mark.parametrize("kind", ["RECEIVE", "DELIVER", "DRAIN"])
def test_each_function_imports_from_the_upload_alone(
    kind: str, uploaded: Path, tmp_path: Path
) -> None:
    """With the settings that it is deployed with; nothing of the tools is missed or loaded."""
    config = read_config(write_config(tmp_path, AEP_CLIENT_ID=""))
    (function,) = (one for one in desired_functions(config) if one.kind == kind)
    secret = tmp_path / "secret"
    secret.write_text("a-secret", "utf-8")
    mounted = {name: str(secret) for name in function.environment if name.endswith("_FILE")}
    inherited = {"PATH": os.environ["PATH"], "FUNCTION_TARGET": kind.lower()}

    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, kind.lower()],
        cwd=uploaded,
        env=inherited | function.environment | mounted,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "pendo_aep.app" in loaded
    assert [name for name in loaded if name.startswith(_NEVER_LOADED)] == []


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _module(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _packages(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def _imports(path: Path) -> set[str]:
    """Returns what a module imports, at any place, as it is written."""

    def names() -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)

    return set(names())


@pytest.fixture
async def upload(gcloud: str, tmp_path: Path) -> bytes:
    """The zip of `receive`, made by the real gcloud."""
    async with (
        GoogleServer("127.0.0.1:9", project=ID) as google,
        DeployEnv(google, gcloud, tmp_path) as env,
    ):
        prepare_for_receive(google)
        config = read_config(env.config())
        receive = next(iter(desired_functions(config)))
        words = function_resource(config, receive, "any", tmp_path).create
        process = await asyncio.create_subprocess_exec(
            "gcloud", *words, f"--project={ID}", "--quiet", env=env.environment
        )
        assert await process.wait() == 0
        return google.state.functions["receive"].source


@pytest.mark.emulator
@pytest.mark.slow
async def test_the_upload_runs(
    upload: bytes,
    uploaded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Gcloud uploads the same files; with their requirements alone, each sample arrives in AEP."""
    folder = tmp_path / "source"
    with zipfile.ZipFile(io.BytesIO(upload)) as archive:
        # gcloud packs the name of a folder that it leaves out.
        names = [name for name in archive.namelist() if not name.endswith("/")]
        archive.extractall(folder)
    assert set(names) == _files(uploaded)

    python = await asyncio.to_thread(_install, folder / "requirements.txt", tmp_path / "venv")
    # The functions start from the upload alone, with a Python that has only its requirements.
    monkeypatch.setattr(local_functions, "PROJECT", folder)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    async with (
        PubSubServer() as pubsub,
        AepServer() as aep,
        run_pipeline(pubsub.host, aep, project=ID) as pipeline,
    ):
        journeys = await asyncio.gather(*(trace_sample(s, pipeline, aep) for s in load_samples()))

    assert len(journeys) > 10
    assert {j.sample.name: j.problem for j in journeys if j.problem} == {}
    unpacked = sum(path.stat().st_size for path in folder.rglob("*.py"))
    record_property(
        "upload",
        {"files": len(names), "kB zipped": len(upload) // 1000, "kB of code": unpacked // 1000},
    )


def _install(requirements: Path, folder: Path) -> Path:
    """Creates an environment with what the functions install, and returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "-r",
            str(requirements),
        ],
        check=True,
    )
    return python
