"""Secrets: never shown, and read again when their mounted file changes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pendo_aep import settings
from pendo_aep.settings import NO_SECRET, Secret
from tests.secret_volume import SecretVolume


def rewrite_unnoticed(path: Path, content: bytes) -> None:
    """Changes the content of a file, but nothing that `stat` shows."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert after.st_ino == before.st_ino


def write(path: Path, content: bytes | None) -> None:
    """Writes a file, or removes it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A mounted secret file."""
    path = tmp_path / "secret"
    path.write_bytes(b"first\n")
    return path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the module, which only the test moves."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(settings, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


async def test_text() -> None:
    """A secret given as text is that text; no secret is the empty text."""
    held = Secret("s3cret")
    held.poll()
    assert held.read() == await held.refreshed() == "s3cret"
    assert NO_SECRET.read() == ""


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda s: repr([s]), lambda s: f"{s!r}"])
def test_a_secret_is_never_shown(show: object, mounted: Path) -> None:
    """No way to print a secret shows its text."""
    assert callable(show)
    assert "s3cret" not in show(Secret("s3cret"))
    assert "first" not in show(Secret(path=mounted))


def test_a_trailing_newline_is_removed(mounted: Path) -> None:
    """The newline that editors and `echo` append is not part of the secret."""
    assert Secret(path=mounted).read() == "first"


async def test_a_change_is_noticed_by_content_alone(mounted: Path, clock: SimpleNamespace) -> None:
    """A new secret is read even if length, time and inode are unchanged."""
    held = Secret(path=mounted)
    rewrite_unnoticed(mounted, b"FIRST\n")
    clock.seconds += 1
    assert await held.refreshed() == held.read() == "FIRST"


async def test_one_read_a_second(tmp_path: Path, clock: SimpleNamespace) -> None:
    """However many callers ask, the file is read at most once a second."""
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        volume.text = "second"
        clock.seconds += 0.9
        assert await held.refreshed() == "first"
        clock.seconds += 0.1
        assert await asyncio.gather(*(held.refreshed() for _ in range(100))) == ["second"] * 100
        assert await held.refreshed() == "second"
        assert volume.reads == 2


async def test_a_poll_reads_every_ten_seconds(tmp_path: Path, clock: SimpleNamespace) -> None:
    """A poll does not wait; the first after ten seconds starts a read."""
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        volume.text = "second"
        volume.hang()
        clock.seconds += 10
        held.poll()
        held.poll()
        assert held.read() == "first"
        volume.resume()
        assert await held.refreshed() == "second"
        assert volume.reads == 2


async def test_a_poll_before_its_time_reads_nothing(tmp_path: Path, clock: SimpleNamespace) -> None:
    """Polls within ten seconds of a read do not start another."""
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        clock.seconds += 9.9
        held.poll()
        clock.seconds -= 9  # at this age `refreshed` waits for a read under way, and starts none
        assert await held.refreshed() == "first"
        assert volume.reads == 1


async def test_a_read_that_hangs(tmp_path: Path, clock: SimpleNamespace) -> None:
    """It delays callers once, by two seconds; no other read starts; its text is used in the end."""
    loop = asyncio.get_running_loop()
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        clock.seconds += 1
        volume.text = "second"
        volume.hang()
        began = loop.time()
        assert await asyncio.gather(*(held.refreshed() for _ in range(10))) == ["first"] * 10
        assert 1.5 < loop.time() - began < 4

        clock.seconds += 2
        began = loop.time()
        for _ in range(10):
            held.poll()
            assert await held.refreshed() == "first"
        assert loop.time() - began < 0.5
        assert volume.reads == 2

        volume.resume()
        async with asyncio.timeout(10):
            while await held.refreshed() == "first":
                pass
        assert volume.reads == 2


async def test_a_cancelled_caller_does_not_cancel_the_read(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    """A request that is cancelled while it waits does not cancel the read for others."""
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        volume.text = "second"
        volume.hang()
        clock.seconds += 1
        leaving, staying = (asyncio.create_task(held.refreshed()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        volume.resume()
        assert await staying == "second"


async def test_a_replaced_file(mounted: Path, tmp_path: Path, clock: SimpleNamespace) -> None:
    """A rotation by renaming is noticed."""
    held = Secret(path=mounted)
    other = tmp_path / "other"
    other.write_bytes(b"second\n")
    other.rename(mounted)
    clock.seconds += 1
    assert await held.refreshed() == "second"


@pytest.mark.parametrize("half", [None, b"\xff\xfe", b"", b" \n"])
async def test_an_invalid_file_keeps_the_last_secret(
    half: bytes | None, mounted: Path, clock: SimpleNamespace
) -> None:
    """While the file is missing, empty or not UTF-8, the last good secret is used."""
    held = Secret(path=mounted)
    write(mounted, half)
    clock.seconds += 1
    assert await held.refreshed() == "first"
    write(mounted, b"second")
    clock.seconds += 1
    assert await held.refreshed() == "second"


def test_a_missing_file_at_start(tmp_path: Path) -> None:
    """At start, without a last good secret, a missing file is an error."""
    with pytest.raises(FileNotFoundError):
        Secret(path=tmp_path / "none")


def test_an_invalid_file_at_start(mounted: Path) -> None:
    """At start, a file that is not UTF-8 is an error too."""
    write(mounted, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        Secret(path=mounted)
