"""Whose certificate nobody vouches for gets nothing: no token, no secret, no event."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.functions import Function
from tests.delivery_harness import event
from tests.hostile.mouths import push_of
from tests.webhooks import send


@dataclass(frozen=True, slots=True)
class Impostor:
    """A server that answers as AEP and IMS would; its certificate is its own work."""

    port: int
    certificate: Path
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Takes whatever comes."""
        self.asked.append(request.path)
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "t", "expires_in": 60})
        messages = (await request.json())["messages"]
        entries = [{"xactionId": f"a-{place}"} for place in range(len(messages))]
        return web.json_response({"responses": entries}, status=207)


def make_certificate(folder: Path) -> Path:
    """A certificate for `localhost`, signed by itself, and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "localhost.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
async def impostor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Impostor]:
    """The impostor, over TLS."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    app = web.Application()
    runner = web.AppRunner(app)
    found: list[Impostor] = []

    async def answer(request: web.Request) -> web.Response:
        return await found[0].answer(request)

    app.router.add_post("/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    found.append(Impostor(runner.addresses[0][1], certificate))
    yield found[0]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("host", "trusts", "has_credentials", "asked"),
    [
        pytest.param("localhost", False, False, [], id="AEP unknown"),
        pytest.param("localhost", False, True, [], id="IMS unknown"),
        pytest.param("127.0.0.1", True, False, [], id="AEP by another name"),
        pytest.param("127.0.0.1", True, True, [], id="IMS by another name"),
        pytest.param(
            "localhost",
            True,
            True,
            ["/ims/token/v3", "/collection/batch/inlet"],
            id="both known: it is the certificate that was in the way",
        ),
    ],
)
async def test_a_certificate(
    impostor: Impostor,
    http: aiohttp.ClientSession,
    host: str,
    trusts: bool,
    has_credentials: bool,
    asked: list[str],
) -> None:
    """`deliver` says nothing to a server whose certificate does not stand for its name."""
    address = f"https://{host}:{impostor.port}"
    settings = {
        "AEP_ENDPOINT": f"{address}/collection/inlet",
        "AEP_FLOW_ID": "flow",
        "DELIVER_DEADLINE_SECONDS": "2",
        "AEP_IMS_URL": address,
    }
    if has_credentials:
        settings |= {"AEP_CLIENT_ID": "client", "AEP_CLIENT_SECRET": "secret"}
    if trusts:
        settings["SSL_CERT_FILE"] = str(impostor.certificate)
    impostor.asked.clear()
    async with Function("deliver", settings) as deliver:
        answer = await send(http, deliver.url, push_of(event("tls")))
    assert answer.status == (204 if asked else 503)
    assert impostor.asked == asked
