"""What gcloud uploads is enough to run the functions, and no more."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from local import functions as local_functions
from local.aep import AepServer
from local.gcp import GoogleServer, Secret
from local.gcp.agents import Agents
from local.gcp.policies import Policies
from local.gcp.state import Version
from local.pipeline import run_pipeline
from local.pubsub import PubSubServer
from local.sample_trace import trace_sample
from local.samples import load_samples
from pendo_aep.gcp.deploy.config import read_config
from pendo_aep.gcp.deploy.functions import functions, part
from tests.unit.gcp.deploy.site import ID, Site
from tests.unit.gcp.deploy.story import table

pytestmark = [pytest.mark.emulator, pytest.mark.slow]

_OURS = {"main.py", "requirements.txt", "pendo_aep"}
_NOT_FOR_FUNCTIONS = {"commands", "doctor", "platform", "__pycache__", "__main__.py"}


@pytest.fixture
async def upload(gcloud: str, tmp_path: Path) -> bytes:
    """The zip of `receive`, as the real gcloud makes it."""
    async with GoogleServer("127.0.0.1:9", project=ID) as google:
        _prepare(google)
        site = Site(google, gcloud, tmp_path)
        config = read_config(site.config())
        receive = next(iter(functions(config)))
        words = part(config, receive, "any", tmp_path).create
        process = await asyncio.create_subprocess_exec(
            "gcloud", *words, f"--project={ID}", "--quiet", env=site.environment
        )
        assert await process.wait() == 0
        return google.state.functions["receive"].source


def _prepare(google: GoogleServer) -> None:
    """What a function needs before it is deployed."""
    state = google.state
    state.services |= {f"{n}.googleapis.com" for n in ("cloudfunctions", "run", "cloudbuild")}
    Agents(state, Policies(state, google.propagation), google.propagation).create("cloudfunctions")
    for name in ("receive", "build"):
        address = f"pendo-{name}@{ID}.iam.gserviceaccount.com"
        state.accounts[address] = {"email": address, "name": address}
    state.secrets["pendo-webhook-secrets"] = Secret({}, [Version(b"any")])
    for row in table("rights"):
        if row["who"] in {"pendo-receive", "pendo-build"}:
            member = f"serviceAccount:{row['who']}@{ID}.iam.gserviceaccount.com"
            policy = state.policies.setdefault(row["thing"], {"bindings": []})
            policy["bindings"].append({"role": row["role"], "members": [member]})


async def test_it_is_enough_and_no_more(
    upload: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """From the unzipped source, in an environment of its requirements, each sample arrives."""
    folder = tmp_path / "source"
    with zipfile.ZipFile(io.BytesIO(upload)) as archive:
        # Of a folder that stays behind gcloud packs the name.
        names = [name for name in archive.namelist() if not name.endswith("/")]
        archive.extractall(folder)
    assert {name.split("/")[0] for name in names} == _OURS
    assert [n for n in names if _NOT_FOR_FUNCTIONS & set(n.split("/"))] == []

    python = await asyncio.to_thread(_install, folder / "requirements.txt", tmp_path / "venv")
    # Where the functions are started from, and by whom: the upload alone, without our Python.
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
    """An environment of its own, with what the functions install; answers its Python."""
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
