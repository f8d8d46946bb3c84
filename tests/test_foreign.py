"""Folders and files that are not kerasft's, or no longer as it wrote them, are neither written to nor replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pydantic
import pytest

from kerasft.errors import ConfigError
from kerasft.foreign import check_replaceable, check_run_folder, check_unchanged
from kerasft.integrity import read_hashes, write_hashes, write_recorded_text
from kerasft.models.fetching import _check_own
from kerasft.runs.folder import RunFolder


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FOREIGN = {
    "data": ["dataset/mine.csv", "config.yaml"],
    "a file": ["notes.txt"],
    "a dataset of kerasft's": ["manifest.json", "hashes.json"],
    "a folder": ["sub/"],
    "a config alone": ["config.yaml"],
}


@pytest.mark.parametrize("names", FOREIGN.values(), ids=list(FOREIGN))
def test_a_folder_with_something_in_it_that_is_no_runs_is_refused_and_nothing_is_written(
    names: list[str], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name == "hashes.json":
            write_hashes(tmp_path)
        elif name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_text("mine")
    before = read_tree(tmp_path)
    with (
        pytest.raises(ConfigError, match="is not a run folder: it contains") as caught,
        RunFolder(tmp_path).owned(),
    ):
        pass
    assert "--output" in str(caught.value.fix)
    assert read_tree(tmp_path) == before


@pytest.mark.parametrize(
    "names", [[], [".gitkeep"], [".lock", ".config.yaml.0123abcd.tmp.yaml"], ["lost+found"]]
)
def test_a_new_folder_and_one_with_hidden_files_alone_may_become_a_runs(
    names: list[str], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).touch()
    check_run_folder(tmp_path)
    check_run_folder(tmp_path / "new")


def test_a_folder_with_a_killed_trial_alone_may_become_a_runs(tmp_path: Path) -> None:
    (tmp_path / "verify-resume" / "straight").mkdir(parents=True)
    check_run_folder(tmp_path)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"it contains thesis\.txt"):
        check_run_folder(tmp_path)


def test_a_folder_in_which_kerasft_wrote_something_is_a_runs(tmp_path: Path) -> None:
    for name in ("config.yaml", "stages.json", "inputs/train.jsonl"):
        folder = tmp_path / name.replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        write_recorded_text(folder, folder / name, "{}")
        (folder / "notes.txt").write_text("mine")
        check_run_folder(folder)
        check_unchanged(folder / "config.yaml")


def test_a_run_from_before_there_were_records_goes_on_and_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "stages.json").write_text(json.dumps({"prepare": {"fingerprint": "f"}}))
    (tmp_path / "config.yaml").write_text("name: x")
    with RunFolder(tmp_path).owned():
        pass
    assert set(read_hashes(tmp_path) or {}) == {"stages.json", "config.yaml"}
    (tmp_path / "config.yaml").write_text("name: y")
    with pytest.raises(ConfigError, match="was changed"):
        RunFolder(tmp_path).check_unchanged(tmp_path / "config.yaml")


@pytest.mark.parametrize("name", ["config.yaml", "report.html"])
def test_a_file_that_was_changed_or_put_there_is_not_replaced(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.mark_done("prepare", "f")
    run.check_unchanged(tmp_path / name)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is not as kerasft wrote it") as caught:
        run.check_unchanged(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    assert "mv" in str(caught.value.fix)
    (tmp_path / name).rename(tmp_path / "kept")
    write_recorded_text(tmp_path, tmp_path / name, "kerasft's")
    run.check_unchanged(tmp_path / name)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="was changed"):
        run.check_unchanged(tmp_path / name)
    (tmp_path / name).unlink()
    run.check_unchanged(tmp_path / name)
    assert (tmp_path / "kept").read_text() == "mine"


class Settings(pydantic.BaseModel):
    seed: int = 0


def test_what_somebody_changed_is_refused_where_it_is_replaced_and_nowhere_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.mark_done("finetune", "f")
    run.write_config(Settings())
    run.config.write_text("mine")
    run.report.write_text("mine")
    with run.owned():  # an export, or figures on other data
        run.mark_done("export", "f", version="1")
        with pytest.raises(ConfigError, match=r"config\.yaml: the file was changed"):
            run.write_config(Settings())
        with pytest.raises(ConfigError, match=r"report\.html: the file is not as kerasft wrote it"):
            run.clear_training()
    assert run.is_done("finetune", "f")
    assert (run.config.read_text(), run.report.read_text()) == ("mine", "mine")


@pytest.mark.parametrize("name", [".DS_Store", ".nfs00000001", "Thumbs.db", "index/desktop.ini"])
def test_what_file_browsers_and_file_systems_leave_is_nobodys_own(name: str, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    write_hashes(tmp_path)
    (tmp_path / name).touch()
    check_replaceable(tmp_path)
    _check_own(tmp_path)


def test_a_folder_that_is_made_anew_holds_nothing_of_somebody_else(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    check_replaceable(folder)
    folder.mkdir()
    check_replaceable(folder)
    (folder / "mine.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"did not write: mine\.csv"):
        check_replaceable(folder)
    (folder / "mine.csv").unlink()
    (folder / "manifest.json").write_text("{}")
    check_replaceable(folder)  # of an earlier version
    write_hashes(folder)
    check_replaceable(folder)
    (folder / "manifest.json").write_text("{ ")  # damaged: that is why it is made anew
    check_replaceable(folder)
    (folder / "index").mkdir()
    (folder / "index" / "mine.npy").write_text("mine")
    with pytest.raises(ConfigError, match=r"did not write: index/mine\.npy"):
        check_replaceable(folder)


def test_a_preset_with_somebody_elses_file_is_not_removed_with_a_training(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.mark_done("finetune", "f")
    run.preset.mkdir()
    (run.preset / "config.json").write_text("{}")
    write_hashes(run.preset)
    (run.preset / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"README\.md"):
        run.clear_training()
    assert run.is_done("finetune", "f")
    os.unlink(run.preset / "README.md")
    run.clear_training()
    assert not run.preset.exists()
