"""Which request logs are excluded, without gcloud; test_deployment runs it by the real one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from pendo_aep.gcp.deploy import request_logs
from pendo_aep.gcp.deploy.config import TEMPLATE, Config, read_config
from pendo_aep.gcp.deploy.gcloud import Gcloud, Words
from tests.unit.gcp.deploy.site import FILLED

OURS = "pendo-to-aep-receive"


@dataclass
class FakeGcloud:
    """Shows one sink, and keeps what it is told to do."""

    sink: dict[str, Any] | None
    changed: list[Words] = field(default_factory=list)
    deleted: list[Words] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def look(self, *_: str) -> Any:
        """The sink."""
        return self.sink

    def change(self, *words: str) -> None:
        """Keeps a change."""
        self.changed.append(words)

    def delete(self, words: Words) -> None:
        """Keeps a deletion."""
        self.deleted.append(words)

    def say(self, text: str) -> None:
        """Keeps what is said."""
        self.said.append(text)


@pytest.fixture
def config(tmp_path: Any) -> Config:
    """One without drain."""
    path = tmp_path / "my.env"
    lines = {**FILLED, "DEPLOY_DRAIN": "false", "AEP_SCOPES": ""}
    path.write_text("\n".join(f"{name}={value}" for name, value in lines.items()), "utf-8")
    return read_config(path)


def apply(config: Config, sink: dict[str, Any] | None, switch: str = "true") -> FakeGcloud:
    """Runs it and answers what gcloud was told."""
    gcloud = FakeGcloud(sink)
    values = {**config.values, "EXCLUDE_REQUEST_LOGS": switch}
    request_logs.apply(replace(config, values=values), cast("Gcloud", gcloud))
    return gcloud


def test_it_is_on_by_default() -> None:
    """The template excludes them."""
    assert "\nEXCLUDE_REQUEST_LOGS=true\n" in TEMPLATE.read_text("utf-8")


def test_only_what_is_deployed_is_excluded(config: Config) -> None:
    """Without drain, a service of that name is somebody else's."""
    [(*_, flag)] = apply(config, {}).changed

    assert flag.startswith(f"--add-exclusion=name={OURS},filter=")
    assert 'service_name=("receive" OR "deliver")' in flag


def test_what_is_right_stays(config: Config) -> None:
    """The second run changes nothing."""
    [(*_, flag)] = apply(config, {}).changed
    sink = {"exclusions": [{"name": OURS, "filter": flag.partition("filter=")[2]}]}

    assert apply(config, sink).changed == []


def test_switched_off_it_is_removed(config: Config) -> None:
    """Ours goes; without one of ours there is nothing to do."""
    ours, theirs = {"name": OURS, "filter": "x"}, {"name": "theirs", "filter": "y"}

    [(*_, flag)] = apply(config, {"exclusions": [ours, theirs]}, "false").deleted
    assert flag == f"--remove-exclusions={OURS}"
    assert apply(config, {"exclusions": [theirs]}, "false").deleted == []


def test_without_the_default_sink_it_is_said(config: Config) -> None:
    """Somebody deleted it: nothing is stored there, and nothing fails."""
    gcloud = apply(config, None)

    assert gcloud.changed == []
    assert "no log sink _Default" in gcloud.said[0]
