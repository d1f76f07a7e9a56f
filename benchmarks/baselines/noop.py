"""Functions that do nothing, on the same server: the minimum that the platform costs."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

_ACCEPTED = Response(b'{"status":"accepted","id":"5b1f2a0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"}')
_NO_CONTENT = Response(status_code=204)


@functions_framework.aio.http
async def accepted(request: Request) -> Response:  # noqa: ARG001 (that is the point)
    """Answers as `receive` does, and reads nothing."""
    return _ACCEPTED


@functions_framework.aio.http
async def no_content(request: Request) -> Response:  # noqa: ARG001 (that is the point)
    """Answers as `deliver` does, and reads nothing."""
    return _NO_CONTENT
