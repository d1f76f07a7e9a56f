"""What keeps Query Service from being read, and what to do about it."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from pendo_aep.provisioning.errors import Permission, PlatformError

# Spark's words for it and PostgreSQL's; its code is not documented.
_NO_TABLE: Final = re.compile(r"(?i)(table|view|relation).*(not exist|not (be )?found)")
_MAX_SAID: Final = 300


class QueryServiceError(PlatformError):
    """Query Service cannot be read; the text says what to do."""


class NotPermitted(QueryServiceError):
    """The credential may not use Query Service, or not this table."""


class NoTable(QueryServiceError):
    """The dataset has no table yet."""


class CannotConnect(QueryServiceError):
    """Query Service is out of reach, or refuses the token that AEP has just made for it."""


class QueryTooSlow(QueryServiceError):
    """Even the smallest query takes longer than it may."""


def cannot_connect(error: psycopg.Error) -> CannotConnect:
    """Returns the error for a server that is out of reach, or refuses the token."""
    return CannotConnect(
        f"Query Service is out of reach, or refuses the token ({said_by(error)}): a firewall must "
        "let this machine connect to the host and the port of Query Service (in AEP, Queries > "
        "Credentials); try again later"
    )


def explain_refusal(error: psycopg.Error, table: str) -> QueryServiceError:
    """Returns the error for a query that the server refuses."""
    said = said_by(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotPermitted(
            f"the credential may not read the table {table} (Query Service: {said}): in AEP, "
            f"Permissions > Roles, its role needs {Permission.MANAGE_QUERIES} and "
            f"{Permission.VIEW_DATASETS}"
        )
    if isinstance(error, psycopg.errors.UndefinedTable) or _NO_TABLE.search(said):
        return NoTable(
            f"Query Service has no table {table} yet ({said}): it appears with the dataset's first "
            "events; is AEP_SANDBOX the sandbox of the dataset?"
        )
    return QueryServiceError(f"Query Service refuses the query: {said}: report it as a defect")


def said_by(error: psycopg.Error) -> str:
    """Returns the server's text or the driver's in one line; neither has the token in it."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_SAID]
