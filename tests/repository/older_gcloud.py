"""What the documents say of a newer gcloud, in the words of the installed one."""

from __future__ import annotations

import subprocess
from functools import cache

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
