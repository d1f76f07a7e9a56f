"""The catalogue of polls: words for answers, from a file that may change, be missing or broken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from pendo_aep import settings
from pendo_aep.aep.format import Raw
from pendo_aep.event import Event
from pendo_aep.pipeline import poll_catalog
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.deliver import Delivery
from pendo_aep.pipeline.poll_catalog import MAX_BYTES, InvalidCatalog, PollCatalog, parse_catalog
from pendo_aep.pubsub import Topic
from tests.cases import Case, cases
from tests.secret_volume import SecretVolume

POLLS = {
    "pick": {"question": "How often?", "type": "PickList", "choices": {"c-1": "Daily", "0": "No"}},
    "scale": {"question": "How easy?", "type": "NumberScale"},
    "bare": {"choices": {"c-1": "Daily"}},
}
Lines = list[tuple[str, str, dict[str, Any]]]


def content(**polls: Any) -> bytes:
    """Returns a file with these polls."""
    return orjson.dumps({"polls": polls})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the file, which only the test moves."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(settings, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The log lines of the module."""
    written: Lines = []

    def log(severity: str, message: str, **fields: Any) -> None:
        written.append((severity, message, fields))

    monkeypatch.setattr(poll_catalog, "log", log)
    return written


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good file."""
    path = tmp_path / "catalog.json"
    path.write_bytes(content(**POLLS))
    return path


def write(path: Path, data: bytes | None) -> None:
    """Writes a file, or removes it."""
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)


def event_with(answers: Any) -> Event:
    """Returns an event with these answers."""
    event: Any = {"id": "a", "type": "poll.submitted", "answers": answers}
    read: Event = event
    return read


async def words(catalog: PollCatalog, poll_id: str = "pick", value: str = "c-1") -> Any:
    """Returns what the catalogue adds to an answer, once a read under way has ended."""
    event = event_with([{"pollId": poll_id, "value": value}])
    catalog.add_words(event)
    if catalog._reading is not None:  # noqa: SLF001 (nothing else shows when it has ended)
        await catalog._reading  # noqa: SLF001
    event = event_with([{"pollId": poll_id, "value": value}])
    catalog.add_words(event)
    [answer] = event["answers"]
    return {key: text for key, text in answer.items() if key not in {"pollId", "value"}}


@pytest.mark.parametrize("case", cases("poll_words"))
async def test_words(case: Case, file: Path, clock: SimpleNamespace) -> None:  # noqa: ARG001
    """Each answer gets what is known of it; all else stays as it is."""
    event = event_with(case["answers"])
    before = orjson.dumps(event)

    is_changed = PollCatalog(file).add_words(event)

    expected = case.get("words", case["answers"])
    assert event == {"id": "a", "type": "poll.submitted", "answers": expected}
    assert is_changed is (before != orjson.dumps(event)) is ("words" in case)


@pytest.mark.parametrize("missing", [{}, {"answers": None}])
async def test_other_events(file: Path, missing: dict[str, Any]) -> None:
    """An event that is no poll stays as it is."""
    event: Any = {"id": "a", "type": "guide.displayed", **missing}
    assert not PollCatalog(file).add_words(event)
    assert event == {"id": "a", "type": "guide.displayed", **missing}


async def test_a_change_is_used(file: Path, clock: SimpleNamespace, lines: Lines) -> None:
    """The file is read again after a minute; another content is said once, the same not at all."""
    catalog = PollCatalog(file)
    assert (await words(catalog))["question"] == "How often?"

    write(file, content(pick={"question": "How often now?"}))
    clock.seconds += 59
    assert (await words(catalog))["question"] == "How often?"
    clock.seconds += 1
    assert await words(catalog) == {"question": "How often now?"}
    for _ in range(3):
        clock.seconds += 60
        await words(catalog)

    read = ("INFO", "poll catalogue read")
    assert [(severity, message, fields["polls"]) for severity, message, fields in lines] == [
        (*read, 3),
        (*read, 1),
    ]


BROKEN = {
    "missing": (None, "cannot be read: No such file or directory"),
    "empty": (b"", "is not JSON"),
    "half written": (content(**POLLS)[:-9], "is not JSON"),
    "not UTF-8": (b'{"polls": {"p": {"question": "\xff"}}}', "is not JSON"),
    "too deep": (b"[" * 5000, "is not JSON"),
    "no object": (b"[]", "has no object 'polls'"),
    "no polls": (b'{"guides": []}', "has no object 'polls'"),
    "too large": (b" " * MAX_BYTES + content(), "is over 5,000,000 bytes"),
}


@pytest.mark.parametrize(("broken", "said"), BROKEN.values(), ids=BROKEN)
async def test_a_file_that_cannot_be_used(
    broken: bytes | None, said: str, file: Path, clock: SimpleNamespace, lines: Lines
) -> None:
    """One WARNING for each change; the last good content is used until there is a good one."""
    write(file, broken)
    catalog = PollCatalog(file)
    for _ in range(3):
        assert await words(catalog) == {}
        clock.seconds += 60
    warning = lines.pop()
    assert (warning[0], warning[1], lines) == ("WARNING", "poll catalogue not used", [])
    assert warning[2]["file"] == str(file)
    assert warning[2]["reason"].startswith(said)

    write(file, content(**POLLS))
    assert (await words(catalog))["text"] == "Daily"
    write(file, broken)
    for _ in range(3):
        clock.seconds += 60
        assert (await words(catalog))["text"] == "Daily"
    assert [severity for severity, *_ in lines] == ["INFO", "WARNING"]


async def test_a_folder(tmp_path: Path, lines: Lines) -> None:
    """The path of a folder is a warning as well."""
    assert await words(PollCatalog(tmp_path)) == {}
    assert [fields["reason"] for *_, fields in lines] == ["cannot be read: Is a directory"]


async def test_a_read_that_hangs_delays_nobody(tmp_path: Path, clock: SimpleNamespace) -> None:
    """Meanwhile the known words are used, and no other read starts."""
    text = content(**POLLS).decode()
    with SecretVolume(tmp_path / "catalog.json", text) as volume:
        catalog = PollCatalog(volume.path)
        volume.hang()
        volume.text = content().decode()
        for seconds in (60, 20, 20):  # less than another minute: no third read may start at the end
            clock.seconds += seconds
            event = event_with([{"pollId": "scale", "value": "3"}])
            assert catalog.add_words(event)
            await asyncio.sleep(0)
        volume.resume()
        assert await words(catalog) == {}
        assert volume.reads == 2


async def test_a_mount_that_hangs_at_the_start(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts without words, and says so."""
    monkeypatch.setattr(poll_catalog, "_START_SECONDS", 0.05)
    with SecretVolume(tmp_path / "catalog.json", content(**POLLS).decode()) as volume:
        volume.hang()
        catalog = PollCatalog(volume.path)
        assert not catalog.add_words(event_with([{"pollId": "scale", "value": "3"}]))
        volume.resume()
    assert [severity for severity, *_ in lines] == ["WARNING"]


def test_what_is_not_as_written_is_left_out() -> None:
    """A file that somebody has edited: what can be used is used."""
    polls = parse_catalog(
        content(a=1, b={"question": 2, "choices": []}, c={"choices": {"x": "X", "y": 5, "z": ""}})
    )
    assert {key: (poll.question, dict(poll.choices)) for key, poll in polls.items()} == {
        "b": ("", {}),
        "c": ("", {"x": "X"}),
    }


def test_a_catalogue_that_is_none() -> None:
    """The error says why, and shows nothing of the content."""
    with pytest.raises(InvalidCatalog) as error:
        parse_catalog(b'{"canary"')
    assert "canary" not in str(error.value)


def no_topic() -> Topic:
    """Fails: nothing here is a dead letter."""
    raise AssertionError


@pytest.mark.parametrize(("poll_id", "is_known"), [("pick", True), ("new", False)])
async def test_a_message_is_written_anew_only_with_words(
    poll_id: str, file: Path, *, is_known: bool
) -> None:
    """Without words, `raw` sends the bytes of the message; its id is the same either way."""
    answers = b'[{"pollId" :"%b","value":"0"}]' % poll_id.encode()
    data = b'{"id": "a", "type":"poll.submitted","occurredAt":"t","answers":%b}' % answers
    delivery = Delivery(Raw(), DeadLetterPublisher(no_topic, "deliver"), words=PollCatalog(file))

    sent = delivery.encode(data, {})

    assert sent.startswith(data[:-1]) is not is_known
    message = orjson.loads(sent)
    assert message["id"] == "a"
    assert ("text" in message["answers"][0]) is is_known
