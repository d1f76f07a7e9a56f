"""`receive` has nothing to call with: no webhook can make it ask another machine for something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.functions import PROJECT

# The clients that are installed; Google's Pub/Sub is reached by gRPC, at one fixed address.
CLIENTS = {"aiohttp", "httpx", "requests", "urllib3", "urllib.request"}
_LOADED = f"import main, sys; print(*sorted({CLIENTS!r} & set(sys.modules)))"
SETTINGS = {
    "receive": {"PENDO_WEBHOOK_SECRETS": "s"},
    "deliver": {"AEP_ENDPOINT": "https://h.test/collection/x", "AEP_FLOW_ID": "f"},
}


@pytest.mark.parametrize(
    ("target", "loaded"), [("receive", ""), ("deliver", "aiohttp urllib.request")]
)
def test_what_is_loaded(target: str, loaded: str) -> None:
    """Only the function that posts to AEP loads a client of HTTP (which loads a second)."""
    environ = {**os.environ, **SETTINGS[target], "FUNCTION_TARGET": target}
    environ["GOOGLE_CLOUD_PROJECT"] = "p"
    command = [sys.executable, "-c", _LOADED]
    ended = subprocess.run(
        command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == loaded
