"""Pages of a list of the registry: `orderby`, `limit`, and `start`, which is the last `next`."""

from __future__ import annotations

from collections.abc import Sequence

from local.aep_platform import assumed
from local.aep_platform.call import Call
from local.aep_platform.registry import errors
from local.aep_platform.state import Json

MAX_LIST = 300  # Adobe: a list without paging ends here
_MAX_LIMIT = 500


def page_of(
    call: Call, items: Sequence[Json], order: str | None = None
) -> tuple[Sequence[Json], Json]:
    """The items of the page that a call asks for, and its `_page`.

    Adobe: `limit` is a hint, so what is equal in the order stays together on one page.

    Args:
        call: has the query.
        items: all that the call could see.
        order: by what, unless the query says it; None for no order, and then no pages.

    Raises:
        Refused: the limit is no number from 0 to 500, or a page is asked for without an order.
    """
    order = call.query.get("orderby", order)
    if order is None:
        if "limit" in call.query or "start" in call.query:
            raise errors.malformed(assumed.PAGE_WITHOUT_ORDER)
        shown = items[:MAX_LIST]
        return shown, {"orderby": None, "next": None, "count": len(shown)}
    by_key = sorted(((str(item.get(order, "")), item) for item in items), key=lambda pair: pair[0])
    rest = [pair for pair in by_key if pair[0] >= call.query.get("start", "")]
    end = _limit(call)
    while 0 < end < len(rest) and rest[end - 1][0] == rest[end][0]:
        end += 1
    following = rest[end][0] if end < len(rest) else None
    found = [item for _, item in rest[:end]]
    return found, {"orderby": order, "next": following, "count": len(found)}


def _limit(call: Call) -> int:
    text = call.query.get("limit", str(MAX_LIST))
    if not text.isdecimal() or int(text) > _MAX_LIMIT:
        raise errors.malformed(f"limit '{text}' is not a number from 0 to {_MAX_LIMIT}")
    return int(text)
