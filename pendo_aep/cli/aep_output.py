"""How `aep` shows its steps: a line each for people, a JSON object each for programs."""

from __future__ import annotations

import json
from typing import Final

from pendo_aep.cli.output import printable
from pendo_aep.provisioning.deliver_settings import as_env_file
from pendo_aep.provisioning.plan import Action, Step
from pendo_aep.provisioning.smoke_test import SmokeTest

_SIGNS: Final = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.KEEP: "=",
    Action.DELETE: "-",
    Action.LEAVE: "!",
    Action.UNKNOWN: "?",
}
_WORDS: Final = {
    Action.CREATE: "create",
    Action.CHANGE: "change",
    Action.KEEP: "as it should be",
    Action.DELETE: "delete",
    Action.LEAVE: "stays",
    Action.UNKNOWN: "may or may not have been done: run the command again, it looks first",
}
_DONE: Final = {Action.CREATE: "created", Action.CHANGE: "changed", Action.DELETE: "deleted"}


def step_as_text(step: Step, *, is_done: bool) -> str:
    """A line, and one more for each detail of a change."""
    word = (_DONE.get(step.action) if is_done else None) or _WORDS[step.action]
    what = f"{_SIGNS[step.action]} {step.kind} {printable(step.name)!r}"
    line = f"{what}{f' ({step.id})' if step.id else ''}: {word}\n"
    return line + "".join(f"    {printable(detail)}\n" for detail in step.details)


def step_as_json(step: Step, *, is_done: bool) -> str:
    """The same as one line of JSON; `done` is whether it has been done, or only would be."""
    told = {
        "action": step.action,
        "done": is_done,
        "kind": step.kind,
        "name": step.name,
        "id": step.id or None,
        "details": step.details,
    }
    return json.dumps(told) + "\n"


def check_as_text(samples: int) -> str:
    """That AEP maps every sample as `deliver` does."""
    return f"AEP maps all {samples} sample events as deliver does\n"


def check_as_json(samples: int) -> str:
    """The same as one line of JSON."""
    return json.dumps({"mappingCheck": "same", "samples": samples}) + "\n"


def trial_as_text(trial: SmokeTest) -> str:
    """What AEP said of the test events, what that means, and what `deliver` must be told then."""
    if trial.is_accepted:
        verdict = (
            "taken; AEP does not tell whether they are stored: look for each _id in the dataset, "
            "which can take an hour"
        )
    elif trial.wants_header:
        verdict = "not taken, in none of the modes of AEP_RAW_MODE: AEP misses a header"
    else:
        verdict = "not taken"
    lines = [
        f"test events {', '.join(trial.event_ids)}: {verdict}",
        f"    AEP: {trial.status} {printable(trial.body)}",
    ]
    if trial.settings:
        lines.append(
            "this inlet does not take raw events in batches as they are: tell deliver, too"
        )
        lines += as_env_file(trial.settings).splitlines()
    return "\n".join(lines) + "\n"


def trial_as_json(trial: SmokeTest) -> str:
    """The same as one line of JSON; `environment` is what `deliver` must be told besides."""
    told = {
        "testEvent": trial.event_ids[0],
        "testEvents": trial.event_ids,
        "taken": trial.is_accepted,
        "status": trial.status,
        "body": trial.body,
        "environment": trial.settings,
    }
    return json.dumps(told) + "\n"
