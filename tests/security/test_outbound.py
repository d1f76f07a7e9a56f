"""Outbound connections: only to safe addresses, only over verified TLS, and none from `receive`."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from local.functions import PROJECT, Function
from pendo_aep.settings import DeliverSettings, PlatformSettings, SettingsError, load
from tests.cases import Case, cases
from tests.certificates import self_signed_certificate
from tests.delivery_harness import http_server
from tests.webhooks import event, push_body, send

pytestmark = pytest.mark.process

DELIVER = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/inlet",
    "AEP_FLOW_ID": "flow",
}
PLATFORM = {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET": "s", "AEP_IMS_ORG_ID": "o@AdobeOrg"}
# The HTTP clients that are installed. Pub/Sub is reached by gRPC, at one fixed address.
_CLIENTS = {"aiohttp", "httpx", "requests", "urllib3", "urllib.request"}
_LOADED = f"import main, sys; print(*sorted({_CLIENTS!r} & set(sys.modules)))"


@pytest.mark.parametrize("case", cases("security/addresses"))
@pytest.mark.parametrize("name", ["AEP_ENDPOINT", "AEP_IMS_URL", "AEP_PLATFORM_URL"])
def test_unsafe_addresses_are_rejected(name: str, case: Case) -> None:
    """An address that is not https to a plain host, or that is ambiguous, is a wrong setting."""
    url = case["url"].rstrip("/") + ("/collection/x" if name == "AEP_ENDPOINT" else "")
    model, valid = (
        (PlatformSettings, PLATFORM) if "PLATFORM" in name else (DeliverSettings, DELIVER)
    )
    with pytest.raises(SettingsError, match=rf"^{name}: ") as raised:
        load(model, {**valid, name: url})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://ims.example:8443", "http://127.0.0.1:8081"])
def test_safe_addresses_are_accepted(url: str) -> None:
    """Any host is allowed over TLS; this machine also without, for the stand-ins."""
    assert load(DeliverSettings, {**DELIVER, "AEP_IMS_URL": url}).aep_ims_url == url


@pytest.mark.parametrize(
    ("target", "settings", "loaded"),
    [
        ("receive", {"PENDO_WEBHOOK_SECRETS": "s"}, ""),
        ("deliver", DELIVER, "aiohttp urllib.request"),  # aiohttp imports the other
    ],
)
def test_only_deliver_loads_an_http_client(
    target: str, settings: dict[str, str], loaded: str
) -> None:
    """`receive` has no HTTP client, so no webhook can make it call another machine."""
    environ = {**os.environ, "GOOGLE_CLOUD_PROJECT": "p", **settings, "FUNCTION_TARGET": target}
    ended = subprocess.run(
        [sys.executable, "-c", _LOADED],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == loaded


@dataclass(frozen=True, slots=True)
class Impostor:
    """A TLS server that answers as AEP and IMS would, with a self-signed certificate."""

    port: int
    certificate: Path
    paths: list[str] = field(default_factory=list)  # of its requests


@pytest.fixture(scope="module")
async def impostor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Impostor]:
    """The impostor, at `localhost`."""
    certificate = self_signed_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "t", "expires_in": 60})
        messages = (await request.json())["messages"]
        entries = [{"xactionId": f"a-{place}"} for place in range(len(messages))]
        return web.json_response({"responses": entries}, status=207)

    async with http_server(answer, host="localhost", tls=context) as address:
        yield Impostor(int(address.rpartition(":")[2]), certificate, paths)


@pytest.mark.parametrize(
    ("host", "trusts", "has_credentials", "paths"),
    [
        pytest.param("localhost", False, False, [], id="unknown to AEP's client"),
        pytest.param("localhost", False, True, [], id="unknown to the client of IMS"),
        pytest.param("127.0.0.1", True, False, [], id="AEP, another name"),
        pytest.param("127.0.0.1", True, True, [], id="IMS, another name"),
        pytest.param(
            "localhost", True, True, ["/ims/token/v3", "/collection/batch/inlet"], id="trusted"
        ),
    ],
)
async def test_certificates_are_verified(
    impostor: Impostor,
    http: aiohttp.ClientSession,
    host: str,
    trusts: bool,
    has_credentials: bool,
    paths: list[str],
) -> None:
    """`deliver` sends nothing to a server whose certificate is untrusted or for another name."""
    address = f"https://{host}:{impostor.port}"
    settings = {
        "AEP_ENDPOINT": f"{address}/collection/inlet",
        "AEP_FLOW_ID": "flow",
        "DELIVER_DEADLINE_SECONDS": "30" if paths else "1",
        "AEP_IMS_URL": address,
    }
    if has_credentials:
        settings |= {"AEP_CLIENT_ID": "client", "AEP_CLIENT_SECRET": "secret"}
    if trusts:
        settings["SSL_CERT_FILE"] = str(impostor.certificate)
    impostor.paths.clear()
    async with Function("deliver", settings) as deliver:
        answer = await send(http, deliver.url, push_body(event("tls")))
    assert answer.status == (204 if paths else 503)
    assert impostor.paths == paths
