"""Why a record failed, in AEP's words: of the record, of its batch, of its flow run.

Records that fail streaming validation have codes `DCVS-...` with the texts of the JSON Schema
library that AEP uses, as seen in the output of a public tool (AEP_DCVS_BatchBlaster); these texts
show values of the record. Batches have `INGEST-...` and `MAPPER-...` (Adobe, "Monitor partial batch
ingestion", "Monitor dataflows for sources using the Flow Service API").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from local.aep_platform import assumed
from local.aep_platform.expressions import EvaluationFailed, evaluate, kind_of
from local.aep_platform.mapping import MappingError
from local.aep_platform.state import FailedRecord, Failure, Json

MAPPER: Final = "MAPPER-3700-400"
REQUIRED: Final = "DCVS-1106-400"
_OF_PROBLEMS: Final = (
    (
        "required key [",
        REQUIRED,
        "The message cannot be validated because a required property is missing: {problem}.",
    ),
    (
        "expected type: ",
        "DCVS-1104-400",
        "The message cannot be validated due to the data type error: {problem}.",
    ),
    (
        " does not match pattern ",
        "DCVS-1103-400",
        "The message cannot be validated due to the pattern mismatch error: {problem}.",
    ),
)
_CAUSES: Final = {
    MAPPER: "Mapper Transform Error",
    "INGEST-1555-400": "A required field is either missing or has a value of null. "
    "Add the required field to the input row and try again.",
    assumed.IDENTITY_CODE: assumed.IDENTITY_DESCRIPTION,
}
_SUMMARY: Final = "INGEST-1212-400"
_NO_DIAGNOSTICS: Final = {
    "code": "INGEST-1211-400",
    "description": "Encountered errors while parsing, converting or otherwise validating the data. "
    "Please resend the data with error diagnostics enabled to collect additional information on "
    "failure types",
}


def of_problem(problem: str) -> Failure:
    """Returns the failure of a record that a validation rejects.

    Args:
        problem: as `validation.problems_of_event` yields it.
    """
    if problem.removeprefix("#/").startswith("identityMap"):
        return Failure("identity", assumed.IDENTITY_CODE, problem)
    for part, code, text in _OF_PROBLEMS:
        if part in problem:
            return Failure("validation", code, text.format(problem=problem))
    text = assumed.OTHER_VALIDATION_TEXT.format(problem=problem)
    return Failure("validation", assumed.OTHER_VALIDATION_CODE, text)


def of_mapping(error: MappingError, record: object) -> Failure:
    """Returns the failure of a record that lacks a required field because its mapping failed.

    The text has the parts that `aepp` looks for in messages of the mapper.
    """
    mapping = error.mapping
    try:
        actual = kind_of(evaluate(mapping.value, record)).removeprefix("a ").removeprefix("an ")
    except EvaluationFailed:
        actual = "nothing"
    expected = mapping.field.get("format") or mapping.field.get("type", "object")
    text = (
        f"Mapping failed at destination path {mapping.destination}. {error.reason}: "
        f"expected data type was: {expected}, actual data type was: {actual}. "
        f"sourceField: {mapping.source} destinationField: {mapping.destination}"
    )
    return Failure("mapping", MAPPER, text)


def codes_of_batch(failed: Iterable[FailedRecord]) -> Counter[str]:
    """Returns how many records failed for each code that a batch or flow run shows."""
    codes = (record.failures[0].code for record in failed)
    return Counter("INGEST-1555-400" if code == REQUIRED else code for code in codes)


def errors_of(counts: Mapping[str, int], stored: int, *, has_diagnostics: bool) -> list[Json]:
    """Returns `errors` of a batch: a summary, and the causes that AEP names.

    Args:
        counts: how many records failed for each code.
        stored: how many did not.
        has_diagnostics: whether the causes were kept.
    """
    if not counts:
        return []
    if not has_diagnostics:
        return [dict(_NO_DIAGNOSTICS)]
    summary = (
        f"Encountered {sum(counts.values())} errors in the data. Successfully ingested {stored} "
        "rows. Please review the associated diagnostic files for more details."
    )
    causes = [
        {"code": code, "description": _CAUSES[code], "recordCount": count}
        for code, count in counts.items()
        if code in _CAUSES
    ]
    return [{"code": _SUMMARY, "description": summary}, *causes]


def metrics_of(failed: Iterable[FailedRecord]) -> Json:
    """Returns the counts by stage that a batch of failed streaming records has."""
    stages = Counter(record.failures[0].stage for record in failed)
    return {
        "invalidRecordCount": stages.total(),
        "invalidRecordsStreamingValidation": stages["validation"],
        "invalidRecordsMapper": stages["mapping"],
        "invalidRecordsIdentity": stages["identity"],
        "invalidRecordsProfile": 0,
        "invalidRecordsUnknown": stages["ingestion"],
    }
