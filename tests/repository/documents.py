"""The files of a fresh clone, and the shell commands in its documents."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from local.functions import PROJECT


def files(pattern: str = "*") -> list[Path]:
    """Returns the files that git tracks or would track, and nothing that was built."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", pattern),
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [PROJECT / name for name in listed.stdout.split("\0") if name]


def blocks(text: str) -> list[str]:
    """Returns the shell blocks of a document, in order."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# The documents name a command that only a newer gcloud has.
_NEWER, _OLDER = "gcloud monitoring policies", "gcloud alpha monitoring policies"


def for_installed(gcloud: str, text: str) -> str:
    """Returns a text with the commands for the installed gcloud, as the page says."""
    if _NEWER not in text or _has_policies(gcloud):
        return text
    return text.replace(_NEWER, _OLDER)


@cache
def _has_policies(gcloud: str) -> bool:
    asked = (gcloud, "monitoring", "policies", "--help")
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0
