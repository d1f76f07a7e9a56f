"""`catalog`: Pendo's guides become one small file, or nothing changes and an error says why."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.functions import free_port
from local.pendo_api import KEY, Answering, Dropped, Fault, PendoApiServer, Silence, Slowly
from pendo_aep.cli.catalog import encode
from pendo_aep.cli.pendo_api import PendoApi, PollTexts, read_polls
from pendo_aep.cli.terminal import CommandFailed
from pendo_aep.pipeline.poll_catalog import MAX_BYTES, Poll, parse_catalog
from pendo_aep.provisioning.client import RetryPolicy
from tests.cases import JSON_VALUES, TEXTS, Case, cases, randomly
from tests.unit.cli.cli_harness import Ran, env_file, run, start

FAST = RetryPolicy(attempts=3, initial_seconds=0.001, max_seconds=1.0, timeout_seconds=1.0)
WAIT = {"Retry-After": "0"}
POLLS = st.fixed_dictionaries(
    {"id": JSON_VALUES},
    optional={
        "question": JSON_VALUES,
        "attributes": JSON_VALUES | st.fixed_dictionaries({"type": JSON_VALUES}),
        "idResponses": JSON_VALUES
        | st.lists(st.fixed_dictionaries({"id": JSON_VALUES, "text": TEXTS}), max_size=3),
    },
)
MORNING = "e4b81c07-5a2d-4f96-b3c8-71d90a6f2e35"


@pytest.fixture
async def pendo() -> AsyncIterator[PendoApiServer]:
    """The stand-in of Pendo's API."""
    async with PendoApiServer() as server:
        yield server


async def run_catalog(pendo: PendoApiServer, output: Path, *arguments: str, key: str = KEY) -> Ran:
    """Runs the command to its end."""
    options = ("--url", pendo.url, "--output", str(output), *arguments)
    return await run("catalog", *options, settings={"PENDO_INTEGRATION_KEY": key})


def names(folder: Path) -> list[str]:
    """Returns the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def guides(url: str, *, key: str = KEY, max_bytes: int = 10**6) -> list[Any]:
    """Reads the guides with fast retries."""
    async with aiohttp.ClientSession() as session:
        return await PendoApi(session, url, key, FAST, max_bytes).guides(lambda _: None)


async def refusal(url: str, **arguments: Any) -> str:
    """Returns the text of the error that reading the guides ends with."""
    with pytest.raises(CommandFailed) as error:
        await guides(url, **arguments)
    assert KEY not in str(error.value)
    return str(error.value)


async def test_the_file_is_what_deliver_reads(pendo: PendoApiServer, tmp_path: Path) -> None:
    """The polls of all guides, with question, type and choices; the summary says how many."""
    output = tmp_path / "catalog.json"

    ran = await run_catalog(pendo, output)

    size = output.stat().st_size
    said = f"{output}: 5 polls with 4 choices, of 2 guides; {size} bytes\n"
    assert (ran.code, ran.out, ran.err) == (0, said, "")
    polls = parse_catalog(output.read_bytes())
    assert len(polls) == 5
    pick_list = polls["Bf4uGa7iSx2eKjW6nRvM-tCq8Zo"]
    assert (pick_list.question, pick_list.type) == ("How often do you plan a route?", "PickList")
    assert pick_list.choices[MORNING] == "Every morning"
    assert polls["9sns8dv69ra"].choices == {"y": "Yes", "n": "No"}
    assert polls["y0DhLp5cYk9UgEr1TbXs3mQwJz7"] == Poll("What is missing?", "FreeForm", {})
    assert [(call.path, call.query) for call in pendo.calls] == [("/api/v1/guide", "expand=*")]


async def test_json(pendo: PendoApiServer, tmp_path: Path) -> None:
    """The summary as one JSON object; what has an unknown form is counted, and said on stderr."""
    pendo.guides = [*pendo.guides, "a guide?", {"polls": [{"id": None}]}]
    output = tmp_path / "catalog.json"

    ran = await run_catalog(pendo, output, "--json")

    assert ran.code == 0
    counts = {"polls": 5, "choices": 4, "guides": 2, "skipped": 2}
    assert ran.lines == [{"file": str(output), **counts, "bytes": output.stat().st_size}]
    assert ran.err.startswith("pendo-aep catalog: 2 guides, polls or choices have a form")


async def test_the_same_polls_make_the_same_file(pendo: PendoApiServer) -> None:
    """Whoever stores the file only when it has changed can compare it, byte by byte."""
    backwards = [*reversed(pendo.guides)]
    assert encode(read_polls(backwards)) == encode(read_polls([*pendo.guides]))


@pytest.mark.parametrize("case", cases("pendo_polls"))
def test_forms_of_polls(case: Case) -> None:
    """Known forms are read, and others are counted; none is an error."""
    found = read_polls([{"id": "g", "polls": case["polls"]}])

    assert found.polls == case["found"]
    assert found.skipped == case.get("skipped", 0)


@pytest.mark.parametrize("guide", [None, 1, "x", [], {"polls": 1}, {"polls": {"id": "p"}}])
def test_forms_of_guides(guide: Any) -> None:
    """Whatever is no guide with a list of polls is counted."""
    assert read_polls([guide]) == PollTexts(skipped=1)


@randomly
@given(
    st.lists(
        JSON_VALUES | st.fixed_dictionaries({"polls": st.lists(POLLS, max_size=3)}), max_size=3
    )
)
def test_any_answer_is_read(answer: list[Any]) -> None:
    """Whatever Pendo answers is read or counted, and `deliver` reads what is written of it."""
    found = read_polls(answer)

    if found.polls:
        assert parse_catalog(encode(found)).keys() == found.polls.keys()


async def test_nothing_is_written_without_a_poll(pendo: PendoApiServer, tmp_path: Path) -> None:
    """An answer without polls, as for a wrong key, does not replace a good file."""
    output = tmp_path / "catalog.json"
    output.write_text("as it was", "utf-8")
    pendo.guides = []

    ran = await run_catalog(pendo, output)

    assert (ran.code, ran.out) == (1, "")
    assert "no poll, so nothing is written" in ran.err
    assert output.read_text("utf-8") == "as it was"


async def test_the_file_is_replaced_as_a_whole(pendo: PendoApiServer, tmp_path: Path) -> None:
    """By a new file under its name: who reads the old one goes on reading that. A link stays."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("as it was", "utf-8")
    link.symlink_to(real)
    with real.open() as opened:
        ran = await run_catalog(pendo, link)
        assert opened.read() == "as it was"

    assert ran.code == 0
    assert link.is_symlink()
    assert len(parse_catalog(real.read_bytes())) == 5
    assert names(tmp_path) == ["link.json", "real.json"]
    assert stat.S_IMODE(real.stat().st_mode) & 0o400


@pytest.mark.parametrize(
    ("output", "said"), [("none/catalog.json", "cannot be written: No such"), ("", "is not a file")]
)
async def test_a_file_that_cannot_be_written(
    pendo: PendoApiServer, tmp_path: Path, output: str, said: str
) -> None:
    """The error names the file and the cause, and nothing is left behind."""
    ran = await run_catalog(pendo, tmp_path / output)

    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert names(tmp_path) == []


def test_a_file_that_is_too_large_for_a_secret_or_for_deliver() -> None:
    """What `deliver` would not use is an error; `encode` compares with its limit."""
    found = PollTexts({"p": {"question": "x" * MAX_BYTES}})
    with pytest.raises(CommandFailed, match="deliver uses none over 5,000,000"):
        encode(found)


async def test_a_large_file_gets_a_note(pendo: PendoApiServer, tmp_path: Path) -> None:
    """A file that no secret can hold is written, and a note says how to mount it."""
    pendo.guides = [{"polls": [{"id": str(n), "question": "x" * 1000} for n in range(70)]}]

    ran = await run_catalog(pendo, tmp_path / "catalog.json")

    assert ran.code == 0
    assert "a secret of Google's at most 65,536" in ran.err


async def test_settings_are_checked(tmp_path: Path) -> None:
    """A missing key and an address without TLS are named before anything is sent."""
    for options, settings, said in (
        ((), {}, "PENDO_INTEGRATION_KEY: is missing"),
        (("--url", "http://app.pendo.io"), {"PENDO_INTEGRATION_KEY": KEY}, "PENDO_API_URL: must"),
    ):
        output = tmp_path / "catalog.json"
        ran = await run("catalog", *options, "--output", str(output), settings=settings)
        assert (ran.code, ran.out) == (1, "")
        assert said in ran.err
        assert KEY not in ran.err
        assert not output.exists()


async def test_the_key_may_be_in_a_file(pendo: PendoApiServer, tmp_path: Path) -> None:
    """As any secret, and as all settings in the configuration file."""
    (tmp_path / "key").write_text(f"{KEY}\n", "utf-8")
    settings = {"PENDO_INTEGRATION_KEY_FILE": str(tmp_path / "key"), "PENDO_API_URL": pendo.url}
    output = ("--output", str(tmp_path / "catalog.json"))
    assert (await run("catalog", *output, settings=settings)).code == 0
    config = env_file(tmp_path / "my.env", settings)
    assert (await run("catalog", *output, "--config", config, settings={})).code == 0


async def test_a_wrong_key(pendo: PendoApiServer, tmp_path: Path) -> None:
    """The error says where the key comes from, does not show it, and is not tried again."""
    ran = await run_catalog(pendo, tmp_path / "catalog.json", key="canary-key")

    assert (ran.code, ran.out) == (1, "")
    assert "Settings > Integrations > Integration Keys" in ran.err
    assert "canary" not in ran.err
    assert len(pendo.calls) == 1


async def test_a_key_with_a_line_break_is_not_sent(pendo: PendoApiServer) -> None:
    """It would be another header."""
    assert "copy the key again" in await refusal(pendo.url, key=f"{KEY}\nx: y")
    assert pendo.calls == []


@pytest.mark.parametrize(
    "fault",
    [
        Answering(429, headers=WAIT),
        Answering(500),
        Answering(503, b"<html>down</html>", WAIT),
        Answering(408),
        Dropped(),
        Dropped(in_the_middle=True),
        Silence(),
    ],
    ids=str,
)
async def test_a_failure_that_passes(pendo: PendoApiServer, fault: Fault) -> None:
    """It is tried again, as often as the policy allows, and then it works."""
    pendo.faults.extend([fault] * 2)

    assert len(await guides(pendo.url)) == 3
    assert len(pendo.calls) == 3


async def test_a_slow_answer_is_read(pendo: PendoApiServer) -> None:
    """An answer in pieces is one answer."""
    pendo.faults.append(Slowly(0.05))
    assert len(await guides(pendo.url)) == 3


async def test_a_failure_that_stays(pendo: PendoApiServer) -> None:
    """After three tries the error says what was last, and what to do."""
    pendo.faults.extend([Answering(502, b"<html>")] * 3)

    assert "in 3 tries (status 502): try again later, or check --url" in await refusal(pendo.url)
    assert len(pendo.calls) == 3


async def test_a_server_that_is_not_there() -> None:
    """The error names the address."""
    url = f"http://127.0.0.1:{free_port()}"
    assert f"no answer from Pendo at {url}" in await refusal(url)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answering(200, b"<!doctype html><html>"), "the answer is a web page"),
        (Answering(200, b'[{"id": "g", '), "the answer is no list of guides"),
        (Answering(200, b'{"error": "x"}'), "the answer is no list of guides"),
        (Answering(200), "the answer is no list of guides"),
        (Answering(302, headers={"Location": "/login"}), "Pendo answers 302"),
        (Answering(404), "Pendo answers 404"),
        (Answering(401), "refuses the integration key"),
        # Somebody waits at a terminal.
        (Answering(429, headers={"Retry-After": "300"}), "asks to wait 300 s"),
    ],
)
async def test_an_answer_after_which_it_gives_up(
    pendo: PendoApiServer, answer: Answering, said: str
) -> None:
    """It is not tried again, and the error says what to check, or when to come back."""
    pendo.faults.append(answer)
    assert said in await refusal(pendo.url)
    assert len(pendo.calls) == 1


async def test_an_answer_without_an_end(pendo: PendoApiServer) -> None:
    """Reading stops at a limit."""
    pendo.guides = [{"name": "x" * 2000}]
    assert "over 1,000 bytes" in await refusal(pendo.url, max_bytes=1000)


async def test_ctrl_c_leaves_the_file_as_it_was(pendo: PendoApiServer, tmp_path: Path) -> None:
    """Interrupted while Pendo is silent: exit code 130, and no other file."""
    output = tmp_path / "catalog.json"
    output.write_text("as it was", "utf-8")
    pendo.faults.append(Silence())
    settings = {"PENDO_INTEGRATION_KEY": KEY, "PENDO_API_URL": pendo.url}
    async with start("catalog", "--output", str(output), settings=settings) as process:
        async with asyncio.timeout(60):
            await pendo.asked.wait()
        os.kill(process.pid, signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, out) == (130, b"")
    assert err == b"pendo-aep catalog: interrupted\n"
    assert names(tmp_path) == ["catalog.json"]
    assert output.read_text("utf-8") == "as it was"
