"""`AEP_FIELDS`: where each entry goes, and one error that names all wrong ones."""

from __future__ import annotations

import pytest

from pendo_aep.chosen_fields import MAX_DEPTH, MAX_FIELDS, parse_chosen_fields
from pendo_aep.settings import DeliverSettings, PlatformSettings, SettingsError, load
from tests.cases import Case, cases

DELIVER = {"GOOGLE_CLOUD_PROJECT": "p", "AEP_FLOW_ID": "f"}
DELIVER["AEP_ENDPOINT"] = "https://dcs.adobedc.net/collection/inlet"
PLATFORM = {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET": "s", "AEP_IMS_ORG_ID": "o"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("eventProperties.toTier", "track.properties.toTier"),
        ("eventProperties.a.b-c", "track.properties.a.b-c"),
        ("eventProperties", "custom.eventProperties"),
        ("sampleGroup", "custom.sampleGroup"),
        ("guideProperties.name", "custom.guideProperties.name"),
        ("a.eventProperties.b", "custom.a.eventProperties.b"),
        ("2nd_choice", "custom.2nd_choice"),
    ],
)
def test_places(path: str, place: str) -> None:
    """Properties of track events go to `track.properties`, others to `custom`."""
    [field] = parse_chosen_fields(f"properties.{path}:string")
    assert ".".join(field.place) == place
    assert str(field) == f"properties.{path}:string"


@pytest.mark.parametrize("between", ["\n", " ", ",", " ,\r\n\t "])
def test_entries(between: str) -> None:
    """White space or commas are between entries, and they stay in their order."""
    entries = [f"properties.{name}:{name}" for name in ("string", "number", "integer", "boolean")]
    entries.append("properties.guideId.x:date-time")
    text = between + between.join(entries) + between
    for model, given in ((DeliverSettings, DELIVER), (PlatformSettings, PLATFORM)):
        settings = load(model, {**given, "AEP_FIELDS": text})
        assert [str(field) for field in settings.aep_fields] == entries


@pytest.mark.parametrize("case", cases("chosen_fields"))
def test_wrong_entries(case: Case) -> None:
    """The error names the setting, every wrong entry and what is wrong, and no other entry."""
    with pytest.raises(SettingsError) as error:
        load(DeliverSettings, DELIVER | {"AEP_FIELDS": case["text"]})
    [problem] = error.value.problems
    assert problem.startswith("AEP_FIELDS: ")
    assert [text for text in case["says"] if text not in problem] == []
    assert problem.count("; ") == len(case["says"]) - 1


def test_bounds() -> None:
    """The number of entries and their depth are bounded."""
    deep = "properties" + ".a" * MAX_DEPTH + ":string"
    assert len(parse_chosen_fields(deep)) == 1
    many = [f"properties.a{number}:string" for number in range(MAX_FIELDS + 1)]
    assert len(parse_chosen_fields(",".join(many[1:]))) == MAX_FIELDS
    with pytest.raises(ValueError, match=f"has {MAX_FIELDS + 1} entries, {MAX_FIELDS} at most"):
        parse_chosen_fields(",".join(many))
