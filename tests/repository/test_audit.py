"""The audit in `.ci/run`: skipped where there is no advisory database, and only there.

The stand-in of pip-audit answers as version 2.10.1 was seen to. The real one also prints tables and
retries; what it does with an answer in a new form, only a run against PyPI can tell.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT

SKIPPED = "audit: SKIPPED"
VULNERABLE = (
    '{"dependencies": [{"name": "aiohttp", "version": "3.9.0",'
    ' "vulns": [{"id": "PYSEC-2024-24", "fix_versions": ["3.9.2"]}]}], "fixes": []}'
)
UNKNOWN = (
    '{"dependencies": [{"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could'
    ' not be audited: aiohttp (3.9.0)"}], "fixes": []}'
)
# What the first look prints and exits with, and what the audit of requirements.txt exits with.
CASES = {
    "out of reach": ("", 1, 1, 0, True),
    "a mirror without advisories": (UNKNOWN, 0, 0, 0, True),
    "nothing found": (VULNERABLE, 1, 0, 0, False),
    "a vulnerability": (VULNERABLE, 1, 1, 2, False),
}


@pytest.mark.parametrize(("said", "looked", "audited", "exits", "skips"), CASES.values(), ids=CASES)
def test_the_audit(
    said: str, looked: int, audited: int, exits: int, skips: bool, tmp_path: Path
) -> None:
    """A vulnerability fails the run; a database out of reach is said, and fails nothing."""
    program = tmp_path / "bin" / "pip-audit"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env bash\n"
        f"[[ $2 == requirements.txt ]] && exit {audited}\n"
        f"printf %s '{said}'\n"
        f"exit {looked}\n"
    )
    program.chmod(0o755)
    (tmp_path / "release").touch()  # nothing to install

    environ = {**os.environ, "VENV": str(tmp_path)}
    done = subprocess.run(
        [PROJECT / ".ci" / "audit"], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, SKIPPED in done.stdout) == (exits, skips), done.stdout + done.stderr
