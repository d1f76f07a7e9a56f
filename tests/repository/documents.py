"""The files of the project, as somebody has them who clones it now, and the shell in them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from local.functions import PROJECT


def files(pattern: str = "*") -> list[Path]:
    """What git has, or would have by now, and nothing that was built."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", pattern),
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [PROJECT / name for name in listed.stdout.split("\0") if name]


def blocks(text: str) -> list[str]:
    """The shell blocks of a document, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# What the documents say of a newer gcloud, in the words of the installed one.


_NEWER, _OLDER = "gcloud monitoring policies", "gcloud alpha monitoring policies"


def for_installed(gcloud: str, text: str) -> str:
    """Text with commands, as a reader with this gcloud would type them: the page says how."""
    if _NEWER not in text or _has_policies(gcloud):
        return text
    return text.replace(_NEWER, _OLDER)


@cache
def _has_policies(gcloud: str) -> bool:
    asked = (gcloud, "monitoring", "policies", "--help")
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0
