"""What the registry wants to be asked for: lists without a version, lookups with one."""

from __future__ import annotations

import re

from local.aep_platform.call import Call
from local.aep_platform.registry import errors

_LIST = re.compile(r"application/vnd\.adobe\.(?P<form>xed|xed-id)\+json")
_LOOKUP = re.compile(
    r"application/vnd\.adobe\.(?P<form>xed(-full|-notext|-full-notext|-full-desc|-deprecatefield)?)"
    r"\+json; *version=(?P<version>\d+(\.\d+)?)"
)
_DESCRIPTORS = re.compile(r"application/vnd\.adobe\.(?P<form>xdm(-v2)?(-id|-link)?)\+json")


def of_list(call: Call) -> str:
    """`xed` or `xed-id`.

    Raises:
        Refused: the header is another or missing.
    """
    accept = call.headers.get("Accept", "")
    found = _LIST.fullmatch(accept)
    if found is None:
        example = "application/vnd.adobe.{xed|xdm}+json"
        raise errors.wrong_accept("XDM-1006-400", accept, example)
    return found["form"]


def of_lookup(call: Call) -> str:
    """`xed`, `xed-full` and so on; a major version means the latest minor one.

    Raises:
        Refused: the header is another or missing, or asks for a version that does not exist.
    """
    accept = call.headers.get("Accept", "")
    found = _LOOKUP.fullmatch(accept)
    if found is None:
        example = "application/vnd.adobe.{xed|xdm}+json; version=1 (Version should be specified)"
        raise errors.wrong_accept("XDM-1007-400", accept, example)
    if found["version"].partition(".")[0] != "1":
        raise errors.not_acceptable(accept)
    return found["form"]


def of_descriptors(call: Call) -> str:
    """`xdm`, `xdm-id`, `xdm-link`, or the same with `-v2`.

    Raises:
        Refused: the header is another or missing.
    """
    accept = call.headers.get("Accept", "")
    found = _DESCRIPTORS.fullmatch(accept)
    if found is None:
        raise errors.wrong_accept("XDM-1008-400", accept, "application/vnd.adobe.xdm+json")
    return found["form"]
