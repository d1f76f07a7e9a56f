"""The answers of the functions: a status, a small JSON body, nothing negotiated."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

_JSON = (b"content-type", b"application/json")


class Answer(Response):
    """A response whose headers are known beforehand; Starlette's own works them out each time."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, object] | None = None,
        *headers: tuple[bytes, bytes],
    ) -> None:
        """Takes the status, what the body says as JSON (None: no body), and further headers."""
        self.status_code = status
        self.background = None
        self.body = b"" if body is None else orjson.dumps(body)
        self.raw_headers = [*headers]
        if body is not None:
            self.raw_headers.append(_JSON)
        if status != 204:  # which has no body, and says so by itself (RFC 9110, 8.6)
            self.raw_headers.append((b"content-length", b"%d" % len(self.body)))
