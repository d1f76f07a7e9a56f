"""Log lines: one JSON object per line, whatever is logged; and the trace of a request."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pendo_aep import logs
from pendo_aep.logs import log, trace_id, traceparent
from tests.cases import Case, cases

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Output:
    """The captured stdout."""

    def __init__(self, captured: pytest.CaptureFixture[bytes]) -> None:
        self._captured = captured

    def line(self) -> dict[str, Any]:
        """Returns the only line that was written, parsed."""
        out, err = self._captured.readouterr()
        assert err == b""
        assert out.endswith(b"\n")
        assert out.count(b"\n") == 1
        line: dict[str, Any] = json.loads(out)
        return line


@pytest.fixture
def output(capfdbinary: pytest.CaptureFixture[bytes]) -> Output:
    """The captured stdout."""
    return Output(capfdbinary)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A library's logger, with only our handler."""
    library = logging.getLogger("tests.library")
    handler = logs.JsonHandler()
    library.addHandler(handler)
    library.propagate = False
    yield library
    library.removeHandler(handler)


def test_fields_of_a_line(output: Output) -> None:
    """A line has Cloud Logging's severity and message, and the fields unchanged."""
    log("INFO", "message delivered", event_id="e", bytes=17, seconds=0.5, reason="x")
    line = output.line()
    assert (line["severity"], line["message"], line["eventId"]) == (
        "INFO",
        "message delivered",
        "e",
    )
    assert (line["bytes"], line["seconds"], line["reason"]) == (17, 0.5, "x")


def test_a_field_without_a_value_is_left_out(output: Output) -> None:
    """A field that is None is not in the line."""
    log("INFO", "m", reason=None)
    assert "reason" not in output.line()


def test_the_trace(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace of a request is written as Cloud Logging links it: project and trace ID."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    log("INFO", "m", trace=TRACE)
    trace = "projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"
    assert output.line()["logging.googleapis.com/trace"] == trace


@pytest.mark.parametrize("trace", [None, "", "rubbish"])
def test_no_trace(trace: str | None, output: Output) -> None:
    """Without a valid trace the line has none."""
    log("INFO", "m", trace=trace)
    assert not output.line().get("logging.googleapis.com/trace")


@pytest.mark.parametrize("text", ["two\nlines", "\r\n", "\x00", "\u2028", '"}', "é\U0001f600"])
def test_any_text_is_one_line(text: str, output: Output) -> None:
    """Any text is one line, and cannot forge another."""
    log("WARNING", "m", reason=text)
    assert "reason" in output.line()


def test_a_librarys_record(logger: logging.Logger, output: Output) -> None:
    """A record of a library is a line of the same form, with its arguments filled in."""
    logger.warning("%d of %s\nfailed", 3, "five")
    line = output.line()
    assert (line["severity"], line["message"]) == ("WARNING", "3 of five\nfailed")
    assert line["logger"] == "tests.library"


def test_a_traceback_is_one_line(logger: logging.Logger, output: Output) -> None:
    """A traceback is in the field of the line that Error Reporting reads."""
    try:
        int("what\nwent wrong")
    except ValueError:
        logger.exception("failed")
    line = output.line()
    assert line["severity"] == "ERROR"
    assert line["stack_trace"].startswith("Traceback")
    assert "ValueError: invalid literal" in line["stack_trace"]


@pytest.mark.parametrize(
    ("message", "arguments"), [("%d", ("three",)), ("%s %s", ("one",)), ("lone \ud800", ())]
)
def test_an_invalid_record_is_logged(
    message: str, arguments: tuple[str, ...], output: Output
) -> None:
    """A record that cannot be formatted does not raise in the code that logs it."""
    record = logging.LogRecord("tests", logging.WARNING, __file__, 1, message, arguments, None)
    logs.JsonHandler().handle(record)
    assert output.line()["message"].startswith(message[:4])


def test_install(output: Output) -> None:
    """Once installed, warnings of any library are lines; lower levels are not logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        root.handlers = []
        logs.install()
        logging.getLogger("tests.another").info("quiet")
        logging.getLogger("tests.another").error("loud")
    finally:
        root.handlers = handlers
        root.setLevel(level)
    assert output.line()["message"] == "loud"


# The trace of a request: W3C's header unchanged, Google's older one converted.


@pytest.mark.parametrize("case", cases("traces"))
def test_traceparent(case: Case) -> None:
    """A valid header gives a `traceparent`, a malformed one gives none."""
    parent = traceparent({key.encode(): text.encode() for key, text in case["headers"].items()})
    assert parent == case["traceparent"]
    assert trace_id(parent) == (parent.split("-")[1] if parent else None)


def test_a_trace_without_a_span() -> None:
    """Google's header without a span still gives the trace."""
    trace = "105445aa7843bc8bf206b12000100000"
    for header in (trace, f"{trace};o=1", f"{trace}/0;o=1"):
        assert trace_id(traceparent({b"x-cloud-trace-context": header.encode()})) == trace


@pytest.mark.parametrize("text", [None, "", "rubbish", "00-xyz-1-01"])
def test_malformed_traceparent_has_no_trace_id(text: str | None) -> None:
    """A malformed `traceparent` has no trace ID."""
    assert trace_id(text) is None
