"""JSON Patch (RFC 6902), as far as Adobe's APIs take it: add, remove, replace."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


class PatchWrong(Exception):
    """A patch that is no patch, or that does not fit the document; the text says why."""


def apply_patch(document: Any, operations: object) -> Any:
    """A patched copy of the document.

    Raises:
        PatchWrong: the operations are malformed, or one of them finds no place.
    """
    if not isinstance(operations, list) or not operations:
        raise PatchWrong("the body must be a list of operations")
    out = deepcopy(document)
    for number, operation in enumerate(operations):
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchWrong(f"operation {number} has no path")
        _apply(out, operation)
    return out


def _apply(document: Any, operation: dict[str, Any]) -> None:
    name, path = operation.get("op"), operation["path"]
    if name not in {"add", "remove", "replace"}:
        raise PatchWrong(f"op '{name}' is not one of add, remove, replace")
    if name != "remove" and "value" not in operation:
        raise PatchWrong(f"{name} {path} has no value")
    if not path.startswith("/"):
        raise PatchWrong(f"path '{path}' does not start with /")
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    parent = document
    for key in way:
        parent = _step(parent, key, path)
    if isinstance(parent, list):
        _apply_to_list(parent, last, operation)
    elif isinstance(parent, dict):
        if name != "add" and last not in parent:
            raise PatchWrong(f"nothing at {path}")
        if name == "remove":
            del parent[last]
        else:
            parent[last] = deepcopy(operation["value"])
    else:
        raise PatchWrong(f"nothing at {path}")


def _step(node: Any, key: str, path: str) -> Any:
    if isinstance(node, dict) and key in node:
        return node[key]
    if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
        return node[int(key)]
    raise PatchWrong(f"nothing at {path}")


def _apply_to_list(parent: list[Any], last: str, operation: dict[str, Any]) -> None:
    name, path = operation["op"], operation["path"]
    if name == "add" and last == "-":
        parent.append(deepcopy(operation["value"]))
        return
    if not last.isdecimal() or int(last) > len(parent) - (name != "add"):
        raise PatchWrong(f"nothing at {path}")
    if name == "add":
        parent.insert(int(last), deepcopy(operation["value"]))
    elif name == "remove":
        del parent[int(last)]
    else:
        parent[int(last)] = deepcopy(operation["value"])
