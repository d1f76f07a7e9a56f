"""What pyproject.toml cannot say: the wheel also has the data that commands read in a checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# As MANIFEST.in has them; `pendo_aep/data_files.py` finds them.
_DATA = ("deploy/config.env", "sample_events/*.event.json")


class BuildWithData(build_py):
    """Copies the data into the package."""

    def run(self) -> None:
        """Builds the package as always, then adds the data."""
        super().run()
        if self.editable_mode:
            return
        for file in (file for pattern in _DATA for file in Path().glob(pattern)):
            target = Path(self.build_lib, "pendo_aep", "data", file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


setup(cmdclass={"build_py": BuildWithData})
