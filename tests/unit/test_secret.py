"""Secrets: never shown, and read again from a mounted file when it changes."""

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
    """Changes what a file holds, but not what `stat` shows of it."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert after.st_ino == before.st_ino


def write(path: Path, content: bytes | None) -> None:
    """Makes a file hold this, or removes it."""
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
    """The clock of the module, which stands still until a test moves it."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(settings, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


async def test_text() -> None:
    """A secret given as text is that text, and no secret is no text."""
    held = Secret("s3cret")
    held.poll()
    assert held.read() == await held.refreshed() == "s3cret"
    assert NO_SECRET.read() == ""


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda s: repr([s]), lambda s: f"{s!r}"])
def test_it_is_never_shown(show: object, mounted: Path) -> None:
    """However a secret is printed, its text is not."""
    assert callable(show)
    assert "s3cret" not in show(Secret("s3cret"))
    assert "first" not in show(Secret(path=mounted))


def test_a_file_without_its_line_end(mounted: Path) -> None:
    """The line end that editors and `echo` leave at the end of a file is not part of the secret."""
    assert Secret(path=mounted).read() == "first"


async def test_a_change_is_seen_though_nothing_but_the_content_differs(
    mounted: Path, clock: SimpleNamespace
) -> None:
    """A new secret is taken even with the length, the time and the inode of the one before."""
    held = Secret(path=mounted)
    rewrite_unnoticed(mounted, b"FIRST\n")
    clock.seconds += 1
    assert await held.refreshed() == held.read() == "FIRST"


async def test_one_read_a_second(tmp_path: Path, clock: SimpleNamespace) -> None:
    """However many ask, and however new the file looks, it is read once a second at most."""
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
    """A poll waits for nothing; the first after ten seconds has the file read meanwhile."""
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
    """Polls within ten seconds of a read start none."""
    with SecretVolume(tmp_path / "secret", "first") as volume:
        held = Secret(path=volume.path)
        clock.seconds += 9.9
        held.poll()
        clock.seconds -= 9  # at this age `refreshed` waits for a read under way, and starts none
        assert await held.refreshed() == "first"
        assert volume.reads == 1


async def test_a_read_that_hangs(tmp_path: Path, clock: SimpleNamespace) -> None:
    """It delays those who ask by two seconds, once; no other starts; its text is used at last."""
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


async def test_one_who_leaves_does_not_end_the_read_of_the_others(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    """A request that is cancelled while it waits cancels nobody else's read."""
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
    """A rotation by renaming is seen."""
    held = Secret(path=mounted)
    other = tmp_path / "other"
    other.write_bytes(b"second\n")
    other.rename(mounted)
    clock.seconds += 1
    assert await held.refreshed() == "second"


@pytest.mark.parametrize("half", [None, b"\xff\xfe", b"", b" \n"])
async def test_in_the_middle_of_a_rotation(
    half: bytes | None, mounted: Path, clock: SimpleNamespace
) -> None:
    """While the file is gone, empty or no text, the last good secret stays in use."""
    held = Secret(path=mounted)
    write(mounted, half)
    clock.seconds += 1
    assert await held.refreshed() == "first"
    write(mounted, b"second")
    clock.seconds += 1
    assert await held.refreshed() == "second"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """At the start, where there is no last good secret, a missing file is an error."""
    with pytest.raises(FileNotFoundError):
        Secret(path=tmp_path / "none")


def test_a_file_that_is_no_text(mounted: Path) -> None:
    """At the start, a file that is not UTF-8 is an error too."""
    write(mounted, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        Secret(path=mounted)
