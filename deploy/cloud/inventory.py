"""What there is in the project: one listing for each kind of thing, each looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deploy.cloud.config import Config
from deploy.cloud.gcloud import Gcloud, Words
from deploy.cloud.together import together

# How gcloud speaks of each kind. In SDK 528 alert policies are in alpha alone, channels in beta.
GROUPS: Final[dict[str, Words]] = {
    "accounts": ("iam", "service-accounts"),
    "topics": ("pubsub", "topics"),
    "subscriptions": ("pubsub", "subscriptions"),
    "secrets": ("secrets",),
    "functions": ("functions",),
    "jobs": ("scheduler", "jobs"),
    "metrics": ("logging", "metrics"),
    "dashboards": ("monitoring", "dashboards"),
    "policies": ("alpha", "monitoring", "policies"),
    "channels": ("beta", "monitoring", "channels"),
}
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
            "jobs": (f"--location={config['REGION']}",),
        }
        self._things: dict[str, dict[str, Any]] = {}
        together(self.look, kinds)

    def __getitem__(self, kind: str) -> dict[str, Any]:
        return self._things[kind]

    def look(self, kind: str) -> None:
        """Looks at one kind, once more.

        Raises:
            GcloudFailed: gcloud could not look.
        """
        found = self._gcloud.look(*GROUPS[kind], "list", *self._flags.get(kind, ())) or []
        self._things[kind] = {_name(kind, one): one for one in found}


def _name(kind: str, thing: dict[str, Any]) -> str:
    if kind in _SHOWN:
        return str(thing.get("displayName", ""))
    return str(thing["name"]).rpartition("/")[2]
