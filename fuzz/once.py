"""One target in this process, under atheris: `python -m fuzz.once TARGET [libFuzzer's options]`."""

from __future__ import annotations

import sys

import atheris

# What is imported in here is watched: which branches an input takes decides what becomes of it.
with atheris.instrument_imports(include=["pendo_aep"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Runs until libFuzzer has had enough, and ends the process."""
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
