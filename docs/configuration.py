"""`python -m docs.configuration`: writes `configuration.md`, beside this, from the settings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pendo_aep import settings
from pendo_aep.settings import (
    CatalogSettings,
    DeliverSettings,
    DrainSettings,
    LakeSettings,
    PlatformSettings,
    ReceiveSettings,
    Secret,
)

PAGE: Final = Path(__file__).with_suffix(".md")
_READERS: Final[Mapping[str, type[BaseModel]]] = {
    "receive": ReceiveSettings,
    "deliver": DeliverSettings,
    "drain": DrainSettings,
    "aep": PlatformSettings,
    "lake": LakeSettings,
    "catalog": CatalogSettings,
}
_NUMBERS: Final[Mapping[Any, str]] = {int: "whole number", float: "number"}
# Those that are one text, whatever it is taken apart into.
_KINDS: Final[Mapping[str, str]] = {
    "ChosenFields": "list",
    "EventTypes": "list",
    "Header": "text",
    "StreamingEndpoint": "URL",
    "NamespaceCode": "letters, digits",
    "Project": "project id",
    "RedactedPaths": "list",
    "Subscription": "name",
    "Tenant": "letters, digits, `_`",
    "Topic": "name",
    "Url": "URL",
    "str": "text",
}
_HEAD: Final = """\
# Configuration

Generated from [`pendo_aep/settings.py`](../pendo_aep/settings.py) by \
`python -m docs.configuration`: change the settings there, not this page.

Environment variables, read once at the start; one that is set to nothing counts as not set. \
A wrong one ends the start with one message that names every one that is wrong, and shows no \
value. For a secret `X`, `X_FILE` may name a file that holds it, which is read again while the \
function runs. `drain` reads all that `deliver` reads; `aep` is the command that sets AEP up, \
`catalog` the one that reads Pendo's guides; `lake` stands for `status` and `reconcile`, which \
follow events into the data lake and require none of what they can find by themselves. The \
commands also read a file of `NAME=value` lines: `--config FILE`, else `pendo-aep.env` in the \
current folder; environment variables go before it.

| name | read by | | default | |
|---|---|---|---|---|
"""


def page() -> str:
    """Returns the page, in Markdown."""
    texts = _texts()
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for reader, model in _READERS.items():
        for name, field in model.model_fields.items():
            fields.setdefault(name, field)
            if reader != "drain" or "deliver" not in readers.get(name, ()):
                readers.setdefault(name, []).append(reader)
    rows = (
        f"| `{name.upper()}` | {', '.join(readers[name])} | {_kind(field, texts[name][0])} "
        f"| {_default(field)} | {texts[name][1]} |"
        for name, field in fields.items()
    )
    return _HEAD + "\n".join(rows) + "\n"


def _texts() -> dict[str, tuple[str, str]]:
    """Returns the name of the type of each field, and the text below it."""
    found: dict[str, tuple[str, str]] = {}
    for model in ast.parse(inspect.getsource(settings)).body:
        body = model.body if isinstance(model, ast.ClassDef) else []
        for field, text in pairwise(body):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                words = " ".join(str(text.value.value).split())
                found.setdefault(field.target.id, (ast.unparse(field.annotation), words))
    return found


def _kind(field: FieldInfo, written: str) -> str:
    if field.annotation is Secret:
        return "secret"
    if field.annotation is bool:
        return "`true`, `false`"
    if name := _NUMBERS.get(field.annotation):
        bounds = {type(one): one for one in field.metadata}
        least: Any = bounds.get(Ge) or bounds.get(Gt)
        most: Any = bounds[Le]
        low = f"{least.ge:,}" if isinstance(least, Ge) else f"over {least.gt:,}"
        return f"{name}, {low} to {most.le:,}"
    return _KINDS.get(written) or ", ".join(f"`{one}`" for one in field.annotation.__args__)  # type: ignore[union-attr]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{'.'.join(path)}`" for path in value)
    if isinstance(value, Secret) or value in ("", frozenset()):
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
