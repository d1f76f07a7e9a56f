"""Log lines: one JSON object a line, whatever is logged."""

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
    """What was written to stdout."""

    def __init__(self, captured: pytest.CaptureFixture[bytes]) -> None:
        self._captured = captured

    def line(self) -> dict[str, Any]:
        """The one line that was written, parsed."""
        out, err = self._captured.readouterr()
        assert err == b""
        assert out.endswith(b"\n")
        assert out.count(b"\n") == 1
        line: dict[str, Any] = json.loads(out)
        return line


@pytest.fixture
def output(capfdbinary: pytest.CaptureFixture[bytes]) -> Output:
    """What was written to stdout."""
    return Output(capfdbinary)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A library's logger, with our handler and no other."""
    library = logging.getLogger("tests.library")
    handler = logs.JsonHandler()
    library.addHandler(handler)
    library.propagate = False
    yield library
    library.removeHandler(handler)


def test_a_line(output: Output) -> None:
    """A line has Cloud Logging's severity and message, and the fields as they are."""
    log("INFO", "message delivered", event_id="e", bytes=17, seconds=0.5, reason="x")
    line = output.line()
    assert (line["severity"], line["message"], line["eventId"]) == (
        "INFO",
        "message delivered",
        "e",
    )
    assert (line["bytes"], line["seconds"], line["reason"]) == (17, 0.5, "x")


def test_what_is_none_is_left_out(output: Output) -> None:
    """A field without a value is no field of the line."""
    log("INFO", "m", reason=None)
    assert "reason" not in output.line()


def test_the_trace(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request's trace is written as Cloud Logging links it: by project and trace id."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    log("INFO", "m", trace=TRACE)
    trace = "projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"
    assert output.line()["logging.googleapis.com/trace"] == trace


@pytest.mark.parametrize("trace", [None, "", "rubbish"])
def test_no_trace(trace: str | None, output: Output) -> None:
    """Without a trace the line links to none."""
    log("INFO", "m", trace=trace)
    assert not output.line().get("logging.googleapis.com/trace")


@pytest.mark.parametrize("text", ["two\nlines", "\r\n", "\x00", "\u2028", '"}', "é\U0001f600"])
def test_any_text_is_one_line(text: str, output: Output) -> None:
    """Whatever is in a text, it is one line, and nothing of it can forge another."""
    log("WARNING", "m", reason=text)
    assert "reason" in output.line()


def test_a_librarys_record(logger: logging.Logger, output: Output) -> None:
    """What a library logs is a line of the same kind, with its arguments filled in."""
    logger.warning("%d of %s\nfailed", 3, "five")
    line = output.line()
    assert (line["severity"], line["message"]) == ("WARNING", "3 of five\nfailed")
    assert line["logger"] == "tests.library"


def test_a_traceback_is_one_line(logger: logging.Logger, output: Output) -> None:
    """A traceback is a field of the same line, where Error Reporting looks for it."""
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
def test_a_librarys_mistake_stays_in_the_log(
    message: str, arguments: tuple[str, ...], output: Output
) -> None:
    """A record that cannot be written as it is does not fail the code that logged it."""
    record = logging.LogRecord("tests", logging.WARNING, __file__, 1, message, arguments, None)
    logs.JsonHandler().handle(record)
    assert output.line()["message"].startswith(message[:4])


def test_install(output: Output) -> None:
    """Once installed, warnings of any library are lines; what is less than a warning is not."""
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


# The trace of a request: W3C's header as it is, Google's older one translated.


@pytest.mark.parametrize("case", cases("traces"))
def test_traceparent(case: Case) -> None:
    """A well-formed header gives a `traceparent`; what came malformed from outside gives none."""
    parent = traceparent({key.encode(): text.encode() for key, text in case["headers"].items()})
    assert parent == case["traceparent"]
    assert trace_id(parent) == (parent.split("-")[1] if parent else None)


def test_a_trace_without_a_span() -> None:
    """Google's header without a span still says which trace the request belongs to."""
    trace = "105445aa7843bc8bf206b12000100000"
    for header in (trace, f"{trace};o=1", f"{trace}/0;o=1"):
        assert trace_id(traceparent({b"x-cloud-trace-context": header.encode()})) == trace


@pytest.mark.parametrize("text", [None, "", "rubbish", "00-xyz-1-01"])
def test_malformed_traceparent_has_no_trace_id(text: str | None) -> None:
    """What is no `traceparent` holds no trace."""
    assert trace_id(text) is None
