"""Where the functions may be sent by their settings: over TLS, or to this machine."""

from __future__ import annotations

import pytest

from pendo_aep.settings import DeliverSettings, PlatformSettings, SettingsError, load
from tests.cases import Case
from tests.security.tables import cases

DELIVER = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/inlet",
    "AEP_FLOW_ID": "flow",
}
PLATFORM = {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET": "s", "AEP_IMS_ORG_ID": "o@AdobeOrg"}


@pytest.mark.parametrize("case", cases("addresses"))
@pytest.mark.parametrize("name", ["AEP_ENDPOINT", "AEP_IMS_URL", "AEP_PLATFORM_URL"])
def test_no_address(name: str, case: Case) -> None:
    """What is not https to a plain host, or could be read in two ways, is no address."""
    url = case["url"].rstrip("/") + ("/collection/x" if name == "AEP_ENDPOINT" else "")
    model, right = (
        (PlatformSettings, PLATFORM) if "PLATFORM" in name else (DeliverSettings, DELIVER)
    )
    with pytest.raises(SettingsError, match=rf"^{name}: ") as raised:
        load(model, {**right, name: url})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://ims.example:8443", "http://127.0.0.1:8081"])
def test_an_address(url: str) -> None:
    """Over TLS to anybody, and in the clear to this machine: so the stand-ins can be used."""
    assert load(DeliverSettings, {**DELIVER, "AEP_IMS_URL": url}).aep_ims_url == url
