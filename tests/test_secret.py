"""Secrets: never shown, and read again from a mounted file when it changes."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from pendo_aep import secret
from pendo_aep.secret import NO_SECRET, Secret

_STAMPS = count(1)


def write(path: Path, content: bytes) -> None:
    """Writes the file so that its time surely differs from what it was."""
    path.write_bytes(content)
    seconds = 1_000_000_000 + next(_STAMPS)
    os.utime(path, (seconds, seconds))


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A mounted secret file."""
    path = tmp_path / "secret"
    write(path, b"first\n")
    return path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the module, which stands still until a test moves it."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(secret, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


def test_text() -> None:
    """A secret given as text is that text, and no secret is no text."""
    assert Secret("s3cret").read() == Secret("s3cret").read(fresh=True) == "s3cret"
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


def test_a_change_is_seen_within_a_second(mounted: Path, clock: SimpleNamespace) -> None:
    """A file is looked at once a second at most, and its new text is used from then on."""
    held = Secret(path=mounted)
    write(mounted, b"later")
    clock.seconds += 0.9
    assert held.read() == "first"
    clock.seconds += 0.2
    assert held.read() == "later"


def test_fresh_is_seen_at_once(mounted: Path, clock: SimpleNamespace) -> None:
    """Whoever asks for fresh text gets what the file holds at this moment."""
    held = Secret(path=mounted)
    for text in ("later", "later still"):
        write(mounted, text.encode())
        assert held.read(fresh=True) == text
    assert clock.seconds == 100.0


def test_a_replaced_file(mounted: Path, tmp_path: Path) -> None:
    """A rotation by renaming is seen, even with the size and the time of the file before."""
    held = Secret(path=mounted)
    before = mounted.stat()
    other = tmp_path / "other"
    other.write_bytes(b"FIRST\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(mounted)
    assert held.read(fresh=True) == "FIRST"


@pytest.mark.parametrize("half", [None, b"\xff\xfe", b"", b" \n"])
def test_in_the_middle_of_a_rotation(
    half: bytes | None, mounted: Path, clock: SimpleNamespace
) -> None:
    """While the file is gone, empty or no text, the last good secret stays in use."""
    held = Secret(path=mounted)
    if half is None:
        mounted.unlink()
    else:
        write(mounted, half)
    assert held.read(fresh=True) == "first"
    clock.seconds += 2
    assert held.read() == "first"
    write(mounted, b"second")
    clock.seconds += 2
    assert held.read() == "second"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """At the start, where there is no last good secret, a missing file is an error."""
    with pytest.raises(FileNotFoundError):
        Secret(path=tmp_path / "none")


def test_a_file_that_is_no_text(mounted: Path) -> None:
    """At the start, a file that is not UTF-8 is an error too."""
    write(mounted, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        Secret(path=mounted)
