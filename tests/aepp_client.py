"""Points `aepp`, a public client of AEP's APIs that we did not write, at a stand-in.

It is synchronous, and the stand-in may run in the loop of the test: `await asyncio.to_thread(...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aepp import config as configuration

from local.aep import AepServer
from local.aep_platform import PlatformServer


@dataclass(frozen=True, slots=True)
class AeppClient:
    """The services of `aepp`, each with a token of its own.

    They are imported when they are used: pandas comes with them, which every process that collects
    the tests would wait for.

    Attributes:
        config: what `aepp` calls its configuration: the credentials.
        header: the headers of every call, without the token.
    """

    config: dict[str, Any]
    header: dict[str, str]

    def catalog(self) -> Any:
        """Returns `aepp.catalog.Catalog`."""
        from aepp.catalog import Catalog

        return Catalog(config=self.config, header=self.header)

    def flow_service(self) -> Any:
        """Returns `aepp.flowservice.FlowService`."""
        from aepp.flowservice import FlowService

        return FlowService(config=self.config, header=self.header)

    def data_access(self) -> Any:
        """Returns `aepp.dataaccess.DataAccess`."""
        from aepp.dataaccess import DataAccess

        return DataAccess(config=self.config, header=self.header)

    def query_service(self) -> Any:
        """Returns `aepp.queryservice.QueryService`, whose `connection()` is for its queries."""
        from aepp.queryservice import QueryService

        return QueryService(config=self.config, header=self.header)

    def failed_records(self, batch_id: str) -> list[dict[str, Any]]:
        """Returns the failed records of a batch, decoded as the documentation of `aepp` shows."""
        catalog, found = self.catalog(), []
        for file in self.data_access().getBatchFailed(batch_id):
            path = f"{catalog.endpoint.replace('/catalog', '/export')}/batches/{batch_id}/failed"
            text = catalog.getResource(path, params={"path": file["name"]}, format="txt")
            found += catalog.jsonStreamMessages(catalog.decodeStreamBatch(text))
        return found


@contextmanager
def aepp_client(
    platform: PlatformServer, aep: AepServer, sandbox: str = "prod"
) -> Iterator[AeppClient]:
    """Yields a client of a stand-in."""
    config: dict[str, Any] = {
        "org_id": platform.ims_org_id,
        "client_id": aep.client_id,
        "secret": aep.client_secret,
        "scopes": "openid",
        "sandbox": sandbox,
        "environment": "prod",
        "token": "",
        "date_limit": 0,
        "oauthTokenEndpointV2": f"{aep.url}/ims/token/v3",
        "retry": 0,
    }
    header = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "x-api-key": aep.client_id,
        "x-gw-ims-org-id": platform.ims_org_id,
        "x-sandbox-name": sandbox,
    }
    with pytest.MonkeyPatch.context() as patch:
        # There is no option for the host: every service reads it from there when it is made.
        patch.setitem(configuration.endpoints, "global", platform.url)
        yield AeppClient(config, header)
