"""The generated files of `docs/` say what the mapping table says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from pendo_aep.event import Event
from pendo_aep.provisioning.field_texts import field_texts
from pendo_aep.provisioning.mapping_docs import documents, sample

PROJECT = Path(__file__).parents[3]
DOCUMENTS = documents()
SAMPLE = orjson.loads((PROJECT / "docs" / "aep-sample.json").read_bytes())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_up_to_date(path: Path) -> None:
    """Each is as `python -m pendo_aep.provisioning.mapping_docs` writes it."""
    assert path.read_text("utf-8") == DOCUMENTS[path]


SHOW = """
import json
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.schema import field_group_body
from pendo_aep.aep.format import Xdm
xdm = Xdm(
    schema_id="", dataset_id="", ims_org_id="", tenant_id="a", flow_id=""
)
event = {"id": "a", "type": "x", "occurredAt": "t", "nps": {"rating": 0}}
group = field_group_body("", "a")["definitions"]["customFields"]["properties"]["_a"]
print(json.dumps({
    "xdm": xdm.entity(event)["_a"]["pendo"]["nps"],
    "group": group["properties"]["pendo"]["properties"]["nps"]["properties"],
    "mappings": mappings("a"),
}))
"""


def test_one_row_changes_everything(tmp_path: Path) -> None:
    """A change of one row, and of its texts, changes XDM, field group, mapping set and page."""
    shutil.copytree(PROJECT / "pendo_aep", tmp_path / "pendo_aep")
    shutil.copytree(PROJECT / "sample_events", tmp_path / "sample_events")
    (tmp_path / "docs").mkdir()
    table = tmp_path / "pendo_aep" / "aep" / "mapping.py"
    row = '"{tenant}.pendo.nps.%s",\n        "number",\n        "NPS %s"'
    text = table.read_text("utf-8")
    assert row % ("rating", "rating") in text
    table.write_text(text.replace(row % ("rating", "rating"), row % ("score", "score")))
    texts = tmp_path / "pendo_aep" / "provisioning" / "field_texts.toml"
    texts.write_text(texts.read_text("utf-8").replace("pendo.nps.rating", "pendo.nps.score"))

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, check=True
        ).stdout.decode()

    run("-m", "pendo_aep.provisioning.mapping_docs")
    shown = json.loads(run("-c", SHOW))
    assert shown["xdm"] == {"score": 0}
    description = field_texts()["{tenant}.pendo.nps.rating"].description
    assert shown["group"]["score"] == {
        "title": "NPS score",
        "type": "number",
        "description": description,
    }
    [mapping] = [m for m in shown["mappings"] if m["source"] == "nps.rating"]
    assert (mapping["destination"], mapping["name"]) == ("_a.pendo.nps.score", "NPS score")
    page = (PROJECT / "docs" / "mapping.md").read_text("utf-8")
    changed = page.replace(".nps.rating`", ".nps.score`").replace("| NPS rating |", "| NPS score |")
    assert (tmp_path / "docs" / "mapping.md").read_text("utf-8") == changed != page


def test_the_sample_has_every_key_of_an_event() -> None:
    """AEP knows everything in a normalised event."""
    assert set(Event.__annotations__) <= set(SAMPLE)


def test_the_first_event_wins() -> None:
    """If several events have a field, the first one's is used, with what `raw` adds to it."""
    first: Event = orjson.loads('{"id":"a","type":"x","occurredAt":"t","properties":{"a":1}}')
    second: Event = orjson.loads('{"id":"b","properties":{"a":2,"b":{"c":3}},"userAgent":"u"}')
    assert sample([first, second]) == {
        "id": "a",
        "type": "x",
        "occurredAt": "t",
        "properties": {"a": 1, "b": {"c": 3}},
        "userAgent": "u",
        "propertiesJson": '{"a":1,"b":{"c":3}}',
    }
