"""Pages of a list (Google: AIP-158)."""

from collections.abc import Mapping
from typing import TypeVar

from local.pubsub.wire import Pb

T = TypeVar("T")


def page(resources: Mapping[str, T], request: Pb) -> tuple[list[T], str]:
    """The page of the resources that a List request asks for, and the next page's token.

    The token is the last name of the page before, so that pages stay right while resources come
    and go.
    """
    names = sorted(name for name in resources if name > request.page_token)
    size = request.page_size if request.page_size > 0 else len(names)
    token = names[size - 1] if len(names) > size else ""
    return [resources[name] for name in names[:size]], token


def page_of_project(resources: Mapping[str, T], request: Pb) -> tuple[list[T], str]:
    """The same of those resources that are of the project which the request names."""
    prefix = f"{request.project}/"
    return page({n: r for n, r in resources.items() if n.startswith(prefix)}, request)
