"""What Adobe does not document, in one place: each value is our assumption, not a fact.

A client must not depend on any of these in particular. Beside each stands what Adobe does say.
"""

from __future__ import annotations

from typing import Final, Literal

# Adobe prints no error bodies of Catalog, Flow Service and Data Prep; its services answer with
# problem JSON elsewhere, so these do here.
PROBLEM_TYPE: Final = "http://ns.adobe.com/aep/errors/{service}-{status}"
PROBLEM_TITLES: Final = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    415: "Unsupported Media Type",
}

# Adobe: a missing permission "returns an error", without saying which.
PERMISSION_STATUS: Final = 403
PERMISSION_DETAIL: Final = "User does not have the permission '{permission}'"

# Adobe prints no answer to a sandbox that does not exist or that the token may not use.
UNKNOWN_SANDBOX_STATUS: Final = 403
UNKNOWN_SANDBOX_DETAIL: Final = "Sandbox '{sandbox}' was not found or is not accessible"
# Adobe asks for `x-sandbox-name` on every call and prints no answer to a call without it.
MISSING_SANDBOX_CODE: Final = "400003"

# Adobe documents no answer to an unknown path or to a method that a path does not have.
UNKNOWN_PATH_STATUS: Final = 404
UNKNOWN_METHOD_STATUS: Final = 405
# Adobe asks for `Content-Type: application/json`; only the registry's answer without it is shown.
CONTENT_TYPE_STATUS: Final = 415
# Adobe's tutorials enable a dataflow without a body and without a Content-Type; a few pages show
# `application/json` for other actions. What another type is answered is not said.
ACTION_CONTENT_TYPES: Final = frozenset({"", "application/json"})
ACTION_CONTENT_TYPE_STATUS: Final = 415

# Adobe gives XDM-1010 to XDM-1017 for "Resource not found" by type; only a schema's is seen.
NOT_FOUND_CODES: Final = {
    "classes": "XDM-1010-404",
    "mixins": "XDM-1011-404",
    "schemas": "XDM-1012-404",
}
# Adobe: `limit` and `start` "are only valid" with `orderby`, without the answer to one alone.
PAGE_WITHOUT_ORDER: Final = "'limit' and 'start' need 'orderby'"
# Adobe has codes for a few rules of the registry; these are for rules that it states without one.
MALFORMED_CODE: Final = "XDM-1400-400"  # a body that is no resource, a patch that does not fit
FIELD_CODE: Final = "XDM-1401-400"  # a field's name or type
BREAKING_CHANGE_CODE: Final = "XDM-1402-400"  # schema evolution, once a dataset uses the schema
IN_USE_CODE: Final = "XDM-1403-400"  # deleting what something else is made of
# Adobe: to add a field group to a schema, patch both `/meta:extends` and `/allOf`. It does not say
# what becomes of one without the other.
EXTENDS_MUST_MATCH: Final = True
# Adobe: 406 where a format or version is not available; its body is not printed.
NOT_ACCEPTABLE_CODE: Final = "XDM-1406-406"

# Adobe says nothing of a second descriptor of one type on one field.
ONE_DESCRIPTOR_FOR_A_FIELD: bool = True
# Adobe's guide says 201 for the PUT of a descriptor, its OpenAPI 200.
DESCRIPTOR_PUT_STATUS: int = 201
DESCRIPTOR_NOT_FOUND_CODE: Final = "XDM-1017-404"
# Adobe does not say what becomes of the descriptors of a schema or field group that is deleted.
DESCRIPTORS_GO_WITH_THEIR_SOURCE: bool = False
# Adobe shows no descriptor of what is in the elements of an array; its B2B schemas have this.
DESCRIPTOR_OF_EACH_ELEMENT: Final = "[*]"
# Adobe has the permission, and does not say that a descriptor of a label needs it.
LABELS_NEED_THEIR_PERMISSION: Final = True

# Adobe: a display name that is taken is refused; it prints the answer for a code only.
NAMESPACE_NAME_TAKEN_STATUS: Final = 409

# Adobe says nothing of changing a dataset's schema.
DATASET_SCHEMA_IS_FIXED: Final = True

# Adobe's OpenAPI requires only the spec of a connection or flow, its prose the name, too.
FLOW_SERVICE_NAME_REQUIRED: Final = True
# Adobe's OpenAPI requires `data` of a source connection, its tutorial for HTTP sources omits it.
SOURCE_DATA_REQUIRED_FOR_HTTP: Final = False
# Adobe: a PATCH needs `If-Match`. Catalog documents 412 for a stale one; of none, nothing is said.
STALE_ETAG_STATUS: Final = 412
MISSING_ETAG_STATUS: Final = 400
# Adobe asks for flows to be deleted before their connections; what else happens is not said.
DELETE_IN_USE_STATUS: Final = 400
# Adobe prints no default for the size of a page.
FLOW_SERVICE_PAGE: Final = 20
# Adobe: which parts go together is clear from the tutorials; the answer to others is not printed.
MISMATCH_STATUS: Final = 400
# Adobe asks to wait "approximately 5 minutes" after a flow is made or updated; what becomes of data
# that comes earlier, or for a flow that is unknown or disabled, is not said: here it is lost.
TOO_EARLY: Final = "the flow is not ready yet"
UNKNOWN_FLOW: Final = "no flow of that id takes data from this inlet"
DISABLED_FLOW: Final = "the flow is disabled"

# Adobe: 400 for a mapping set that is not valid; its body is not printed.
MAPPING_SET_STATUS: Final = 400
# Adobe shows no stored mapping whose source is an expression or a constant.
STORED_TYPES: Final[dict[Literal["ATTRIBUTE", "EXPRESSION", "STATIC"], str]] = {
    "ATTRIBUTE": "text/x.schema-path",  # documented
    "EXPRESSION": "text/x.aep-xl",
    "STATIC": "text/x.static",
}
# Adobe's OpenAPI: `version` of the call that reads a set is 0 unless given. Whether that is meant
# literally, or stands for the latest, is not said.
MAPPING_SET_IS_READ_AT_FIRST_VERSION: bool = True
# Adobe's OpenAPI has a name in its schema of a listed mapping set, and none in its example.
MAPPING_SET_LIST_HAS_NAMES: bool = False
# Adobe's "Update dataflows" sends `mappingVersion` as a number; the flow it reads has it as text.
FLOW_SHOWS_MAPPING_VERSION_AS_TEXT: bool = True
# Adobe does not say whether `start` of a list of mapping sets counts sets or pages.
MAPPING_SET_START_COUNTS_PAGES: Final = False
# Adobe's OpenAPI has no DELETE of a mapping set; a public client calls it.
MAPPING_SET_DELETE_STATUS: Final = 204
# Adobe shows no destination inside of a map, such as `identityMap.NS[0].id`.
MAP_ENTRY_REFUSED: Final = True
# Adobe documents `is_empty` for objects and arrays, and prints no answer for a text or a number.
IS_EMPTY_OF_A_TEXT_FAILS: Final = True
# Adobe does not say whether two mappings may have one destination.
DUPLICATE_DESTINATION_REFUSED: Final = True

# Adobe does not say what happens to a field that the schema does not have.
UNKNOWN_FIELD_IS_INVALID: Final = True

# Adobe does not say what goes into one batch. A public list of failed ones has some each quarter of
# an hour: here it is all of one flow and dataset that is ingested at once within a quarter.
BATCH_WINDOW_SECONDS: Final = 900
# Adobe says nothing of the codes of validation but for three that public tools show.
OTHER_VALIDATION_CODE: Final = "DCVS-1100-400"
OTHER_VALIDATION_TEXT: Final = "The message cannot be validated: {problem}."
IDENTITY_CODE: Final = "IDENTITY-1000-400"
IDENTITY_DESCRIPTION: Final = "The record has an identity that is not valid"
# XDM of another organisation or schema than the dataset's: Adobe says that it fails, not how.
MISDIRECTED_CODE: Final = "DCVS-1000-400"
# Adobe documents the file of failed records for batch ingestion only. For streaming, two public
# readers show its lines: one takes `body`, `header` and `_errors` as objects, the other undoes
# their escaping first. `_errors._streamingValidation` is seen, the names of other stages are not.
FAILED_RECORD_IS_ESCAPED: bool = True
ERRORS_KEYS: Final[dict[str, str]] = {
    "mapping": "_mapper",
    "validation": "_streamingValidation",
    "identity": "_identity",
    "ingestion": "_unknown",
}
# Adobe shows one file of failed records; whether there can be more is not said.
FAILED_FILE_RECORDS: Final = 1_000
FAILED_FILE_NAME: Final = "part-{number:05d}.json"
# Adobe has `row_errors/conversion_errors_0.json` for batch ingestion, and nothing for streaming. It
# does not show the folder of a batch without diagnostics, which is empty here.
ROW_ERRORS_FILE: Final = "conversion_errors_{number}.json"
# Adobe shows no record that was mapped and has no header of its own.
RAW_RECORD_HEADER: Final = ("schemaRef", "imsOrgId", "datasetId", "flowId")
# Adobe: a streaming dataflow has one run an hour. When it is first shown is not said: here at once,
# with the counts so far. A record counts in the hour in which AEP deals with it.
# Adobe prints no next page of runs. `aepp` takes what stands after the first "=" for the token.
RUNS_NEXT_PAGE: Final = "/runs?continuationToken={token}"
# Adobe: `adobe/pqs/table` names the table of a dataset; how AEP makes one of a name is shown by
# examples only, and that a PATCH of `tags` without it leaves it (as here) is not said.
TABLE_TAG: Final = "adobe/pqs/table"
NOT_IN_A_TABLE_NAME: Final = r"[^a-z0-9]+"
# Adobe does not say which batches are consolidated, nor when: here those of one hour, when asked.
# A public client names `tags.acp_successor`, `replay.reason` and `replay.predecessors`.
CONSOLIDATION: Final = "consolidation"
# Adobe does not say whether a record that AEP writes twice counts twice.
DUPLICATE_COUNTS: Final = 2
