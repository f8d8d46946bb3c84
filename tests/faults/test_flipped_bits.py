"""Bits turned over all over a run's folder: `kerasft check` names each file; no use of one is silent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flipped_bits import SILENT, TOLD, USES, check_flips, flipped, use_flips

from kerasft.cli.main import main
from kerasft.runs.folder import RunFolder
from kerasft.stages.check import check

TASKS = ("tiny_run", "tiny_entity_run", "tiny_image_run")
LOADERS = {
    "tiny_run": "load_experiment",
    "tiny_entity_run": "load_entity_experiment",
    "tiny_image_run": "load_image_experiment",
}


def test_every_flipped_bit_is_told_by_its_files_name(tiny_run: RunFolder, tmp_path: Path) -> None:
    assert check_flips(tiny_run.path, tmp_path, 60) == {TOLD: 60}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS[1:])
def test_of_other_tasks_too(task: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert check_flips(request.getfixturevalue(task).path, tmp_path, 60) == {TOLD: 60}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("use", USES)
def test_no_use_of_a_flipped_bit_is_silent(
    task: str, use: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    config = request.getfixturevalue(LOADERS[task])()
    outcomes = use_flips(config, request.getfixturevalue(task).path, tmp_path, use, 2)
    assert not [outcome for outcome in outcomes if outcome.startswith(SILENT)], outcomes


def test_check_says_what_each_part_is_and_leaves_with_nine(
    tiny_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(tiny_run.path, tmp_path / "run"))
    (copy / "mine.txt").write_text("a note")
    (copy / "report.html").unlink()
    assert main(["check", str(copy)]) == 0
    told = capsys.readouterr().out
    assert "dataset" in told
    assert "export/1" in told
    assert "report.html no longer exists" in told
    assert "mine.txt is not recorded" in told
    with flipped(copy, "model.keras", 999), flipped(copy, "export/1/saved_model.pb", 99):
        assert main(["check", str(copy), "--quiet"]) == 9
    told, errors = capsys.readouterr()
    assert "model.keras: it differs from what was written (SHA-256). kerasft finetune" in told
    assert "export/1/saved_model.pb: " in told
    assert "2 files are not as written" in errors
    (copy / "task.json").unlink()
    assert check(copy).damaged == {"task.json": "it is missing"}


def test_a_preset_or_an_export_is_checked_alone(tiny_run: RunFolder, tmp_path: Path) -> None:
    for place, name in (("preset", "assets/tokenizer/vocabulary.txt"), ("export/1", "parity.json")):
        copy = Path(shutil.copytree(tiny_run.path / place, tmp_path / place))
        assert main(["check", str(copy), "--quiet"]) == 0
        with flipped(copy, name, 100):
            assert set(check(copy).damaged) == {name}


def test_a_run_of_an_older_version_is_said_to_have_no_hashes(
    tiny_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(tiny_run.path, tmp_path / "run"))
    for path in copy.rglob("hashes.json"):
        path.unlink()
    assert main(["check", str(copy)]) == 0
    told = capsys.readouterr().out
    assert "made by a version of kerasft that recorded no hashes" in told
    state = next(copy.glob("checkpoints/*/*/state.json"))
    with flipped(copy, state.relative_to(copy).as_posix(), 50):
        assert list(check(copy).damaged) == [state.parent.relative_to(copy).as_posix()]


def test_a_folder_that_is_no_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
