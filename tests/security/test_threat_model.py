"""`docs/security.md` is held to the tests and the figures that it names."""

from __future__ import annotations

import re

from local.functions import PROJECT
from tests.fuzz.campaign import read_results
from tests.fuzz.targets import TARGETS

PAGE = (PROJECT / "docs" / "security.md").read_text("utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))


def test_every_test_that_is_named_exists() -> None:
    """Each defence has a test where the page says."""
    assert len(NAMED) > 15
    assert [name for name in sorted(NAMED) if not (PROJECT / name).is_file()] == []


def test_every_attack_is_named() -> None:
    """Each file of attacks stands in the page."""
    attacks = {
        str(path.relative_to(PROJECT))
        for folder in ("security", "hostile", "standards")
        for path in (PROJECT / "tests" / folder).glob("test_*.py")
    }
    ours = {"tests/security/test_threat_model.py", "tests/hostile/test_fuzz.py"}
    assert attacks - ours - NAMED == set()


def test_every_target_was_fuzzed_for_long() -> None:
    """What the page says holds was tried for half an hour at least, and nothing was found."""
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    tried = {
        row["target"] for row in read_results() if row["seconds"] >= 1800 and row["finding"] is None
    }
    assert told == tried == {*TARGETS}
