"""Pages of a list (Google: AIP-158)."""

from collections.abc import Mapping
from typing import TypeVar

from local.pubsub.wire import Pb

T = TypeVar("T")


def page(resources: Mapping[str, T], request: Pb) -> tuple[list[T], str]:
    """The page of the project's resources that a List request asks for, and the next page's token.

    The token is the last name of the page before, so that pages stay right while resources come
    and go.
    """
    prefix = f"{request.project}/"
    names = sorted(
        name for name in resources if name.startswith(prefix) and name > request.page_token
    )
    size = request.page_size if request.page_size > 0 else len(names)
    token = names[size - 1] if len(names) > size else ""
    return [resources[name] for name in names[:size]], token
