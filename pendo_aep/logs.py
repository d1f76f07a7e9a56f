"""Structured log lines, one JSON object each, as Cloud Logging reads them from stdout.

Google: "Structured logging", the special fields `severity`, `message`, `stack_trace` and
`logging.googleapis.com/trace`. A line holds ids of events, types, sizes, counts and reasons; never
a body, a visitor, an account or a secret.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, TypeAlias

import orjson

Severity: TypeAlias = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
Field: TypeAlias = str | int | float | None

_SECONDS_BETWEEN_ALARMS: Final = 60.0
# W3C: Trace Context, "traceparent": version 00, 16 bytes of trace id, 8 of parent id, flags.
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Google: "X-Cloud-Trace-Context: TRACE_ID/SPAN_ID;o=OPTIONS", the span as a decimal number.
_CLOUD_TRACE: Final = re.compile(r"([0-9a-f]{32})(?:/(\d{1,20}))?(?:;o=(\d))?")
_is_silent: Final = ContextVar("is_silent", default=False)


def log(
    severity: Severity,
    message: str,
    *,
    event_id: str | None = None,
    trace: str | None = None,
    **fields: Field,
) -> None:
    """Writes one line.

    Args:
        severity: as Cloud Logging names it.
        message: what happened, in a few fixed words; the details are in the fields.
        event_id: the event that the line is about, if any.
        trace: the `traceparent` of the request, if any.
        fields: more keys of the line. A key without a value is left out.
    """
    # Cloud Logging bills the whole entry, so a key without a value would cost money too.
    line: dict[str, object] = {"severity": severity, "message": message}
    if event_id is not None:
        line["eventId"] = event_id
    if found := trace_id(trace):
        line["logging.googleapis.com/trace"] = f"{_traces()}/{found}"
    for name, value in fields.items():
        if value is not None:  # a comprehension takes twice as long
            line[name] = value  # noqa: PERF403
    _write(line)


def _traces() -> str:
    return f"projects/{os.environ.get('GOOGLE_CLOUD_PROJECT', '')}/traces"


def _write(line: Mapping[str, object]) -> None:
    if _is_silent.get():
        return
    # The process's own stdout: with `LOG_EXECUTION_ID=true`, which `gcloud functions deploy` sets,
    # functions-framework replaces `sys.stdout` during each request by one that takes no bytes.
    assert sys.__stdout__ is not None  # noqa: S101 (only a program without a console has none)
    output = sys.__stdout__.buffer
    output.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    try:
        # At the end of this turn of the event loop: one system call for the lines of a batch.
        asyncio.get_running_loop().call_soon(output.flush)
    except RuntimeError:  # there is no loop
        output.flush()


@contextmanager
def silence() -> Iterator[None]:
    """Suppresses log lines in the block, for commands that tell a person the same."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


class Alarm:
    """Writes a CRITICAL line at most once a minute, however many messages cause it."""

    def __init__(self) -> None:
        """Starts with a line due."""
        self._silent_until = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether a line would be written now."""
        return time.monotonic() >= self._silent_until

    def ring(
        self, message: str, *, status: int, said: str | None = None, count: int | None = None
    ) -> None:
        """Writes the line if it is due, with AEP's status and text, and the number of messages."""
        if self.is_due:
            self._silent_until = time.monotonic() + _SECONDS_BETWEEN_ALARMS
            log("CRITICAL", message, status=status, said=said, count=count)


class JsonHandler(logging.Handler):
    """Writes what libraries log through `logging` as lines of the same kind."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record, with its traceback where Error Reporting looks for it."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the format
            message = str(record.msg)
        line = {"severity": record.levelname, "message": message, "logger": record.name}
        if record.exc_info:
            line["stack_trace"] = logging.Formatter().formatException(record.exc_info)
        # Text from elsewhere may hold what UTF-8 cannot encode: a lone surrogate.
        _write({key: text.encode("utf-8", "replace").decode() for key, text in line.items()})


def install() -> None:
    """Makes every library write its warnings and errors as JSON lines.

    Call it before gRPC loads, and again once the framework has imported the function: with
    `LOG_EXECUTION_ID=true` it then installs a root handler of its own, and disables every logger
    that exists (`logging.config.dictConfig`).
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines are not JSON
    logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING, force=True)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def traceparent(headers: Mapping[bytes, bytes]) -> str | None:
    """Returns the request's W3C `traceparent`, built from Google's older header if need be.

    Returns None for a malformed one: it came from outside, and would go into attributes and logs.
    """
    given = headers.get(b"traceparent", b"").decode("latin-1")
    if given and _TRACEPARENT.fullmatch(given):
        return given
    google = headers.get(b"x-cloud-trace-context")
    older = _CLOUD_TRACE.fullmatch(google.decode("latin-1")) if google else None
    if older is None:
        return None
    trace, span, sampled = older.groups()
    parent = f"00-{trace}-{int(span or 0) % 2**64 or 1:016x}-{'01' if sampled == '1' else '00'}"
    return parent if _TRACEPARENT.fullmatch(parent) else None


def trace_id(parent: str | None) -> str | None:
    """Returns the 32 hex digits of the trace in a `traceparent`; None if it has none."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    return match[1] if match else None
