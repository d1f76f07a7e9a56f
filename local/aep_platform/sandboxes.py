"""Sandbox management, as far as a user sees it: the sandboxes that the token may use."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.permissions import Permission

PATH = "/data/foundation/sandbox-management"


def routes(names: Collection[str]) -> tuple[Route, ...]:
    """The one operation that is not an administrator's."""
    return (Route("GET", PATH, partial(_list, names=names), Permission.VIEW_SANDBOXES),)


def _list(_: Call, names: Collection[str]) -> Answer:
    sandboxes = [
        {
            "name": name,
            "title": name.capitalize(),
            "state": "active",
            "type": "production" if name == "prod" else "development",
            "region": "VA7",
            "isDefault": name == "prod",
        }
        for name in names
    ]
    return Answer(200, {"sandboxes": sandboxes, "_page": {"limit": 100, "count": len(sandboxes)}})
