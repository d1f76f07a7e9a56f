"""Dead letters of the last hour: many with the same words of AEP's are a wrong setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pendo_aep.dead_letters import Reason
from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.look import Looks, Seen, not_seen
from pendo_aep.gcp.doctor.values import within

# `deliver` gives up on 20 events before it takes this for a wrong setting.
_MANY: Final = 10


def check_dead_letters(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Groups what AEP refused in the last hour by what it said, as the functions' lines have it."""
    look = looks[commands.refused_lines()]
    if not isinstance(look, Seen):
        what = "the log lines of dead letters"
        yield not_seen(Subject.DEAD_LETTERS, what, look, deployment.deploy)
        return
    said = Counter(str(within(line, "jsonPayload", "said") or "") for line in look.value)
    for words, count in said.most_common(1):
        if count >= _MANY:
            yield wrong(
                Subject.DEAD_LETTERS,
                f"{count} dead letters of the last hour say the same: {words or 'nothing'}. A "
                "setting may be wrong, not the events: correct it, then replay them",
                f"pendo-aep dead-letters replay --reason {Reason.REJECTED} --since 1h",
            )
            return
    yield ok(Subject.DEAD_LETTERS, "no dead letters of the last hour point to a wrong setting")
