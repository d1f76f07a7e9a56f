"""The generated files of `docs/` say what the mapping table says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pendo_aep.aep.mapping import FIELDS
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.mapping_table import documents

PROJECT = Path(__file__).parents[3]
DOCUMENTS = documents()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_up_to_date(path: Path) -> None:
    """Each is as `python -m pendo_aep.provisioning.mapping_table` writes it."""
    assert path.read_text("utf-8") == DOCUMENTS[path]


def test_everything_is_said() -> None:
    """The page has every field of the table, and every mapping to be filled in."""
    [page] = [text for path, text in DOCUMENTS.items() if path.name == "mapping.md"]
    for field in FIELDS:
        assert f"| `{field.source}` |" in page
        assert f"| {field.title} |" in page
    for line in mappings("TENANT", "PendoVisitor"):
        assert f"`{line['destination']}`" in page
        assert line["source"] in page


SHOW = """
import json
from pendo_aep.provisioning import field_group, mapping_set
from pendo_aep.aep.format import Xdm
xdm = Xdm(
    schema_id="", dataset_id="", ims_org_id="", tenant_id="a", identity_namespace="N", flow_id=""
)
event = {"id": "a", "type": "x", "occurredAt": "t", "nps": {"rating": 0}}
group = field_group.field_group("", "a")["definitions"]["customFields"]["properties"]["_a"]
print(json.dumps({
    "xdm": xdm.entity(event)["_a"]["pendo"]["nps"],
    "group": group["properties"]["pendo"]["properties"]["nps"]["properties"],
    "mappings": mapping_set.mappings("a", "N"),
}))
"""


def test_one_line_changes_all(tmp_path: Path) -> None:
    """One other line in the table: XDM, field group, mapping set and page follow it."""
    shutil.copytree(PROJECT / "pendo_aep", tmp_path / "pendo_aep")
    shutil.copytree(PROJECT / "sample_events", tmp_path / "sample_events")
    (tmp_path / "docs").mkdir()
    table = tmp_path / "pendo_aep" / "aep" / "mapping.py"
    line = '"{tenant}.pendo.nps.%s", "number", "NPS %s"'
    text = table.read_text("utf-8")
    assert line % ("rating", "rating") in text
    table.write_text(text.replace(line % ("rating", "rating"), line % ("score", "score")))

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, check=True
        ).stdout.decode()

    run("-m", "pendo_aep.provisioning.mapping_table")
    shown = json.loads(run("-c", SHOW))
    assert shown["xdm"] == {"score": 0}
    assert shown["group"]["score"] == {"title": "NPS score", "type": "number"}
    [mapping] = [m for m in shown["mappings"] if m["source"] == "nps.rating"]
    assert (mapping["destination"], mapping["name"]) == ("_a.pendo.nps.score", "NPS score")
    page = (PROJECT / "docs" / "mapping.md").read_text("utf-8")
    changed = page.replace(".nps.rating`", ".nps.score`").replace("| NPS rating |", "| NPS score |")
    assert (tmp_path / "docs" / "mapping.md").read_text("utf-8") == changed != page
