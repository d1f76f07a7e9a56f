"""What `doctor` finds in AEP: the dataset, with and without error diagnostics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pendo_aep.cli.doctor_aep import check_error_diagnostics
from pendo_aep.gcp.doctor.finding import Finding, Subject, Verdict
from pendo_aep.provisioning.dataset import Dataset
from pendo_aep.provisioning.resource import Kind, Observed
from tests.unit.provisioning.harness import FAST_RETRIES, Harness, new_harness, only


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """AEP with what `aep apply` makes."""
    async with new_harness() as running:
        await running.apply()
        yield running


async def check(harness: Harness, **config: str) -> Finding | None:
    """Returns the finding, by the environment of `pendo-aep aep`."""
    return await check_error_diagnostics(harness.environ, config, FAST_RETRIES)


async def test_error_diagnostics_are_on(harness: Harness) -> None:
    """After `aep apply`, all is well."""
    found = await check(harness)
    assert found == Finding(Subject.DATASET, Verdict.OK, "'Pendo Events' has error diagnostics")


@pytest.mark.parametrize("is_named", [True, False])
async def test_error_diagnostics_are_off(harness: Harness, is_named: bool) -> None:
    """It says what that costs, and what mends it, also of a dataset of another name."""
    dataset = only(harness.state.datasets)
    dataset.body["enableErrorDiagnostics"] = False
    if is_named:
        dataset.body["name"] = "Other"
    found = await check(harness, **({"AEP_DATASET_ID": dataset.id} if is_named else {}))
    assert found is not None
    assert found.verdict is Verdict.WRONG
    assert ("'Other'" if is_named else "'Pendo Events'") in found.text
    assert "INGEST-1211-400" in found.text
    assert found.mend.startswith("pendo-aep aep apply")


@pytest.mark.parametrize("missing", ["AEP_CLIENT_ID", "AEP_CLIENT_SECRET", "AEP_IMS_ORG_ID"])
async def test_without_credentials_it_does_not_look(harness: Harness, missing: str) -> None:
    """Whoever checks only Google Cloud is told nothing of AEP."""
    harness.overrides[missing] = ""
    assert await check(harness) is None


async def test_what_cannot_be_read_is_unknown(harness: Harness) -> None:
    """A dataset that does not exist, and wrong credentials, are not taken for well."""
    found = await check(harness, AEP_DATASET_ID="missing")
    assert found is not None
    assert found.verdict is Verdict.UNKNOWN
    harness.overrides["AEP_CLIENT_SECRET"] = "wrong"
    found = await check(harness)
    assert found is not None
    assert found.verdict is Verdict.UNKNOWN
    assert "AEP_CLIENT_SECRET" in found.text


async def test_a_switch_that_aep_does_not_keep_stops_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are stored without the diagnostics: `apply` reports it, and makes the rest."""
    read = Dataset.read

    async def without(self: Dataset, resource_id: str) -> Observed:
        observed = await read(self, resource_id)
        return Observed(observed.id, {**observed.body, "enableErrorDiagnostics": False})

    monkeypatch.setattr(Dataset, "read", without)
    steps = await harness.apply()
    last = [step for step in steps if step.kind is Kind.DATASET][-1]
    assert (last.action, last.details[0]) == ("refused", "error diagnostics switched on")
    assert steps[-1].kind is Kind.LABELS
