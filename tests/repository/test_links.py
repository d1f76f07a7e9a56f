"""The documents: every link leads somewhere, every block of code is what it says."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.repository.files import files

DOCUMENTS = files("*.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(document: Path) -> None:
    """A link within the repository names a file that is there, and a heading in it."""
    for link in _LINK.findall(document.read_text("utf-8")):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_code_is_code(document: Path) -> None:
    """A block that says it is Python, JSON or shell can be read as such."""
    for language, code in _BLOCK.findall(document.read_text("utf-8")):
        if language == "python":
            ast.parse(re.sub(r"^ +", "", code))
        elif language == "json" and code.strip():
            json.loads(code)
        elif language == "sh":
            subprocess.run(("bash", "-n"), input=code, check=True, text=True)
