"""Reading what Google's APIs say."""

from __future__ import annotations

from typing import Any, Final

DAY: Final = 86_400.0


def seconds(text: object) -> float:
    """A duration as Google writes it, `604800s` or `0.5s`; 0 if there is none."""
    try:
        return float(str(text or "0s").removesuffix("s"))
    except ValueError:
        return 0.0


def duration(count: float) -> str:
    """The same for people."""
    if count >= DAY:
        return f"{count / DAY:g} days" if count != DAY else "1 day"
    return f"{count:g} s"


def flag(count: float) -> str:
    """The same as a flag of gcloud has it."""
    return f"{count / DAY:g}d" if count % DAY == 0 else f"{count:g}s"


def within(value: Any, *keys: str) -> Any:
    """What stands at the end of the keys; None where one of them is missing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def members(policy: Any, role: str, *, with_conditions: bool = False) -> set[str]:
    """Who has a role; only without conditions, unless asked for: a condition may be anything."""
    return {
        member
        for binding in within(policy, "bindings") or []
        if binding.get("role") == role and (with_conditions or not binding.get("condition"))
        for member in binding.get("members", [])
    }
