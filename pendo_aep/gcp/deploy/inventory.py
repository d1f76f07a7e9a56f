"""What there is in the project: one listing for each kind of thing, each looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import CommandUnknown, Gcloud, Words
from pendo_aep.gcp.deploy.together import together

# How gcloud names each kind.
GROUPS: Final[dict[str, Words]] = {
    "accounts": ("iam", "service-accounts"),
    "topics": ("pubsub", "topics"),
    "subscriptions": ("pubsub", "subscriptions"),
    "secrets": ("secrets",),
    "functions": ("functions",),
    "services": ("run", "services"),
    "jobs": ("scheduler", "jobs"),
    "metrics": ("logging", "metrics"),
    "dashboards": ("monitoring", "dashboards"),
    "policies": ("monitoring", "policies"),
    "channels": ("beta", "monitoring", "channels"),
}
# The same in an older gcloud, such as SDK 528, which has no `gcloud monitoring policies` yet.
_OLDER: Final[dict[str, Words]] = {"policies": ("alpha", "monitoring", "policies")}
# Those that people name; the others have names of Google's, and are known by what they show.
_SHOWN: Final = frozenset({"dashboards", "policies", "channels"})


class Inventory:
    """`inventory["topics"]["pendo-events"]` is what gcloud says of that topic."""

    def __init__(self, config: Config, gcloud: Gcloud, kinds: Sequence[str]) -> None:
        """Looks at some kinds, at the same time.

        Raises:
            GcloudFailed: gcloud could not look.
        """
        self._gcloud = gcloud
        self._flags: dict[str, Words] = {
            "functions": ("--v2", f"--regions={config['REGION']}"),
            "services": (f"--region={config['REGION']}",),
            "jobs": (f"--location={config['REGION']}",),
        }
        self._groups = dict(GROUPS)
        self._things: dict[str, dict[str, Any]] = {}
        together(self.look, kinds)

    def __getitem__(self, kind: str) -> dict[str, Any]:
        return self._things[kind]

    def group(self, kind: str) -> Words:
        """How the installed gcloud names a kind that has been looked at."""
        return self._groups[kind]

    def look(self, kind: str) -> None:
        """Looks at one kind, once more.

        Raises:
            GcloudFailed: gcloud could not look.
        """
        try:
            found = self._list(kind)
        except CommandUnknown:
            older = _OLDER.get(kind)
            if older in (None, self._groups[kind]):
                raise
            self._groups[kind] = older
            found = self._list(kind)
        self._things[kind] = {_name(kind, one): one for one in found}

    def _list(self, kind: str) -> list[dict[str, Any]]:
        return self._gcloud.look(*self._groups[kind], "list", *self._flags.get(kind, ())) or []


def _name(kind: str, thing: dict[str, Any]) -> str:
    if kind in _SHOWN:
        return str(thing.get("displayName", ""))
    if kind == "services":  # of Cloud Run, which answers in the shape of Kubernetes
        return str(thing["metadata"]["name"])
    return str(thing["name"]).rpartition("/")[2]
