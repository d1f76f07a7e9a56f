"""A terminal with a shell, in which a reader of the README would type its commands."""

from __future__ import annotations

import os
import pty
import re
import secrets
import select
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_CTRL_C = b"\x03"
_END_SECONDS = 60.0
_COLOUR = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r")
# The machine says where programs, packages and certificates come from; all else is the user's.
_OF_THE_MACHINE = re.compile(r"PATH|LANG|PYENV_.*|PIP_.*|JAVA_HOME|.*_CERT|.*_CA_CERTS\w*|SSL_.*")
# Without the line editor, which would echo what is typed repeatedly. The first terminal that the
# leader of a session opens becomes its controlling terminal, so that Ctrl-C reaches the programs.
_SHELL = 'exec bash --noprofile --norc --noediting -i <>"$0" >&0 2>&0'


class Terminal:
    """`with Terminal(folder, home) as terminal`: bash in a folder, with a home of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        """Takes the working folder, and a home without caches, settings or logins."""
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if _OF_THE_MACHINE.fullmatch(k)}
        self._environment = {**kept, "HOME": str(home), "TERM": "xterm"}

    def __enter__(self) -> Self:
        # Kept open here too: until the shell has opened it, there would be no terminal.
        self._keyboard, self._screen = pty.openpty()
        self._shell = subprocess.Popen(
            ("sh", "-c", _SHELL, os.ttyname(self._screen)),
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
        )
        self.paste("trap 'failed=$?' ERR; PS1=; PS2=", seconds=10)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._screen)
        os.close(self._keyboard)  # hangs up on the shell and its programs, as closing a window does
        self._shell.wait()

    def export(self, values: Mapping[str, str]) -> None:
        """Sets environment variables for later commands."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        self.paste("\n".join(lines), seconds=10)

    def paste(self, block: str, *, seconds: float, until: str | None = None) -> str:
        """Types lines of shell, and returns the output until the last of them ends.

        Args:
            block: The lines.
            seconds: How long they may take.
            until: Ctrl-C is pressed when this is printed.

        Raises:
            AssertionError: A command failed or timed out; with the output.
        """
        deadline = time.monotonic() + seconds
        shown = ""
        self._type(f"{block.rstrip()}\n")
        if until is not None:
            shown = self._read(re.escape(until), deadline)
            os.write(self._keyboard, _CTRL_C)
        shown += self._read_to_the_end(deadline)
        # make and the shell report an interrupt, whatever the program exits with.
        assert shown.endswith("-0" if until is None else "-130"), shown
        return shown

    @contextmanager
    def running(self, block: str) -> Iterator[None]:
        """Types lines of shell, the last of which runs until Ctrl-C at the end of the block."""
        self._type(f"{block.rstrip()}\n")
        try:
            yield
        finally:
            os.write(self._keyboard, _CTRL_C)
            self._read_to_the_end(time.monotonic() + _END_SECONDS)

    def wait_for(self, pattern: str, *, seconds: float) -> str:
        """Waits until something that matches is printed, and returns the output up to its end.

        Raises:
            AssertionError: It was not printed in time; with the output.
        """
        return self._read(pattern, time.monotonic() + seconds)

    def _read_to_the_end(self, deadline: float) -> str:
        """Returns the output until the shell is idle, and its exit code."""
        # In two parts, because the terminal echoes what is typed.
        mark = secrets.token_hex(4)
        self._type(f'echo {mark}""-"${{failed:-0}}"; failed=0\n')
        return self._read(rf"{mark}-\d+", deadline)

    def _type(self, text: str) -> None:
        # A terminal buffers some 4 kB of input.
        assert len(text.encode()) < 4000
        os.write(self._keyboard, text.encode())

    def _read(self, pattern: str, deadline: float) -> str:
        """Returns the output up to the end of the first match."""
        shown = b""
        while True:
            text = _COLOUR.sub(b"", shown).decode("utf-8", "replace")
            if found := re.search(pattern, text):
                return text[: found.end()]
            seconds_left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._keyboard], [], [], seconds_left)
            assert readable, f"timed out:\n{text}"
            shown += os.read(self._keyboard, 65536)
