"""Runs one target in this process, under atheris.

`python -m tests.fuzz.run_target TARGET [libFuzzer's options]`; `campaign` starts it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

# Imports in this block are instrumented: the branches an input takes decide how it is mutated.
with atheris.instrument_imports(include=["pendo_aep"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Runs until libFuzzer stops, and ends the process.

    Log lines are discarded: a target may write some for every input, and the campaign keeps all
    output in memory. The variables that Google sets for a function are not set here, because only
    functions-framework reads them, and no target runs it.
    """
    name, *options = sys.argv[1:]
    with Path(os.devnull).open("w", encoding="utf-8") as sys.__stdout__:
        atheris.Setup([sys.argv[0], *options], TARGETS[name].check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
