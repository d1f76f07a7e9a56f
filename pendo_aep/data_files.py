"""The files that commands read: where they are in a checkout, and `data/` where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def data_file(name: str) -> Path:
    """Returns the path of a file or folder of the project, such as `deploy/config.env`."""
    installed = _PACKAGE / "data" / name  # setup.py copies it there
    return installed if installed.exists() else _PACKAGE.parent / name
