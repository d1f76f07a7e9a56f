"""A terminal with a shell in it, as somebody has it open who follows the README."""

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
# Where programs, packages and certificates come from is the machine's; all else is a user's.
_OF_THE_MACHINE = re.compile(r"PATH|LANG|PYENV_.*|PIP_.*|JAVA_HOME|.*_CERT|.*_CA_CERTS\w*|SSL_.*")
# Without the line editor, which would paint what is typed again and again. What is opened first by
# the leader of a session becomes its terminal, by which Ctrl-C reaches what runs in it.
_SHELL = 'exec bash --noprofile --norc --noediting -i <>"$0" >&0 2>&0'


class Terminal:
    """`with Terminal(folder, home) as terminal`: bash in a folder, for one whose home is empty."""

    def __init__(self, folder: Path, home: Path) -> None:
        """Takes where it is opened, and the home: no caches, no settings, no login in it."""
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if _OF_THE_MACHINE.fullmatch(k)}
        self._environment = {**kept, "HOME": str(home), "TERM": "xterm"}

    def __enter__(self) -> Self:
        # Kept open here, too: until the shell has opened it, there would be no terminal.
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
        os.close(self._keyboard)  # hangs up on the shell and on what runs in it, as a window does
        self._shell.wait()

    def export(self, values: Mapping[str, str]) -> None:
        """Sets variables for what is pasted later."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        self.paste("\n".join(lines), seconds=10)

    def paste(self, block: str, *, seconds: float, until: str | None = None) -> str:
        """Types lines of shell, and answers what is shown until the last of them ends.

        Args:
            block: the lines.
            seconds: how long they may take.
            until: when this is shown, Ctrl-C is pressed.

        Raises:
            AssertionError: a command failed, or was not over in time; with what was shown.
        """
        deadline = time.monotonic() + seconds
        shown = ""
        self._type(f"{block.rstrip()}\n")
        if until is not None:
            shown = self._read(re.escape(until), deadline)
            os.write(self._keyboard, _CTRL_C)
        shown += self._read_to_the_end(deadline)
        # An interrupt is what make and the shell tell, whatever the program made of it.
        assert shown.endswith("-0" if until is None else "-130"), shown
        return shown

    @contextmanager
    def running(self, block: str) -> Iterator[None]:
        """Types lines of shell, the last of which runs until Ctrl-C at the end of the context."""
        self._type(f"{block.rstrip()}\n")
        try:
            yield
        finally:
            os.write(self._keyboard, _CTRL_C)
            self._read_to_the_end(time.monotonic() + _END_SECONDS)

    def wait_for(self, pattern: str, *, seconds: float) -> str:
        """Waits until something that matches is shown, and returns what is shown up to its end.

        Raises:
            AssertionError: it was not shown in time; with what was shown.
        """
        return self._read(pattern, time.monotonic() + seconds)

    def _read_to_the_end(self, deadline: float) -> str:
        """Returns what is shown until the shell has nothing left to do, and its exit code."""
        # In two parts, for what is typed is shown, too.
        mark = secrets.token_hex(4)
        self._type(f'echo {mark}""-"${{failed:-0}}"; failed=0\n')
        return self._read(rf"{mark}-\d+", deadline)

    def _type(self, text: str) -> None:
        # A terminal that nobody reads from keeps some 4 kB of what is typed.
        assert len(text.encode()) < 4000
        os.write(self._keyboard, text.encode())

    def _read(self, pattern: str, deadline: float) -> str:
        """What is shown, up to what the pattern matches."""
        shown = b""
        while True:
            text = _COLOUR.sub(b"", shown).decode("utf-8", "replace")
            if found := re.search(pattern, text):
                return text[: found.end()]
            patience = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._keyboard], [], [], patience)
            assert readable, f"not over in time:\n{text}"
            shown += os.read(self._keyboard, 65536)
