"""Service accounts. gcloud does not check what they may be called; IAM does."""

from __future__ import annotations

import re

from local.gcp.call import Answer, Call, Route
from local.gcp.problems import exists, invalid, not_found
from local.gcp.propagation import Propagation
from local.gcp.state import GoogleState

_ALL = "iam/v1/projects/{project}/serviceAccounts"
_NAME = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


class Accounts:
    """IAM's part of it; `projects/-` is any project."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes what there is, and how fast what is new is noticed."""
        self._state = state
        self._propagation = propagation

    def routes(self) -> tuple[Route, ...]:
        """The operations that gcloud uses."""
        return (
            Route("GET", _ALL, self._list),
            Route("POST", _ALL, self._create, changes=True),
            Route("GET", f"{_ALL}/{{account}}", self._describe),
            Route("DELETE", f"{_ALL}/{{account}}", self._delete, changes=True),
        )

    def _create(self, call: Call) -> Answer:
        fields = call.fields()
        name = fields["accountId"]
        if not _NAME.fullmatch(name):
            raise invalid(f"Invalid service account id {name!r}")
        address = f"{name}@{self._state.project}.iam.gserviceaccount.com"
        if address in self._state.accounts:
            raise exists(address)
        self._state.accounts[address] = {
            "name": f"projects/{self._state.project}/serviceAccounts/{address}",
            "email": address,
            **fields.get("serviceAccount", {}),
        }
        for where in ("IAM", "Cloud Run"):
            self._propagation.begin(f"account {address} in {where}")
        return Answer(self._state.accounts[address])

    def _list(self, call: Call) -> Answer:  # noqa: ARG002 (all calls are alike)
        return Answer({"accounts": [*self._state.accounts.values()]})

    def _describe(self, call: Call) -> Answer:
        return Answer(self._state.accounts[self._known(call)])

    def _delete(self, call: Call) -> Answer:
        address = self._known(call)
        del self._state.accounts[address]
        self._state.policies.pop(f"serviceAccounts/{address}", None)
        return Answer()

    def _known(self, call: Call) -> str:
        address = call.params["account"]
        if address not in self._state.accounts:
            raise not_found(address)
        return address
