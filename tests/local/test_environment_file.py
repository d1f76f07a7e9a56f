"""The file with the settings of `pendo-aep` for the running pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.environment_file import environment_file


def test_it_is_there_while_the_pipeline_runs(tmp_path: Path) -> None:
    """For its owner alone, and with its folder."""
    path = tmp_path / ".local" / "pipeline.env"
    with environment_file({"A": "1", "B": "x=y"}, path) as file:
        assert file == path
        assert path.read_text() == "A=1\nB=x=y\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in path.parent.iterdir()] == ["pipeline.env"]

    assert not path.parent.exists()


def test_the_file_of_a_later_pipeline_stays(tmp_path: Path) -> None:
    """The later one replaces it, and removes its own."""
    path = tmp_path / ".local" / "pipeline.env"
    with environment_file({"A": "first"}, path):
        later = environment_file({"A": "later"}, path)
        later.__enter__()

    assert path.read_text() == "A=later\n"
    later.__exit__(None, None, None)
    assert not path.exists()


def test_a_folder_with_other_files_stays(tmp_path: Path) -> None:
    """Only what was written is removed."""
    path = tmp_path / ".local" / "pipeline.env"
    with environment_file({}, path):
        (path.parent / "notes").touch()

    assert [one.name for one in path.parent.iterdir()] == ["notes"]


def test_where_nothing_can_be_written_there_is_none(tmp_path: Path) -> None:
    """The pipeline runs without it."""
    (tmp_path / "file").touch()
    with environment_file({}, tmp_path / "file" / "pipeline.env") as file:
        assert file is None


def test_an_error_within_removes_it(tmp_path: Path) -> None:
    """And is not hidden."""
    path = tmp_path / ".local" / "pipeline.env"
    with pytest.raises(RuntimeError, match="within"), environment_file({"A": "1"}, path):
        raise RuntimeError("within")

    assert not path.exists()
