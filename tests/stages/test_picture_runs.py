"""What a run of pictures leaves behind, and what it answers."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_images import CLASSES, draw_picture, write_pictures

import kerasft
from kerasft.cli.main import main
from kerasft.errors import DataError
from kerasft.runs.folder import RunFolder
from kerasft.stages import predict as stage
from kerasft.stages.predict import Predictor
from kerasft.training.outcome import name_epoch
from kerasft.training.result import TrainingResult


@pytest.fixture(scope="module")
def predictor(tiny_image_run: RunFolder) -> Predictor:
    return Predictor(tiny_image_run, batch_size=4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 new pictures of each class, all of different sizes."""
    return write_pictures(tmp_path_factory.mktemp("photos"), train=0, test=12) / "test"


def list_rows(photos: Path) -> list[dict[str, str]]:
    return [{"image": str(path)} for path in sorted(photos.rglob("*.*"))]


def run_main(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict], str]:
    """Exit code, answers and what was said."""
    code = main(["predict", *map(str, words)])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_it_learned_something(predictor: Predictor, photos: Path) -> None:
    answers = list(predictor.predict(list_rows(photos)))
    right = [answer["label"] == Path(answer["image"]).parent.name for answer in answers]
    assert np.mean(right) > 0.55


def test_answers_keep_the_order_whatever_the_window(predictor: Predictor, photos: Path) -> None:
    rows = [{**row, "id": number} for number, row in enumerate(list_rows(photos)[:14])]
    whole = list(predictor.predict(rows))
    assert [answer["id"] for answer in whole] == list(range(14))
    for window in (1, 5):
        for a, b in zip(predictor.predict(rows, window), whole, strict=True):
            assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-4)


def test_no_more_than_a_window_or_some_bytes_are_held(
    predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def rows():
        for row in list_rows(photos):
            read.append(row)
            yield row

    next(predictor.predict(rows(), rows_ahead=5))
    assert len(read) == 5
    read.clear()
    monkeypatch.setattr(stage, "MAX_BYTES_AHEAD", 1)
    next(predictor.predict(rows(), rows_ahead=5))
    assert len(read) == 1


def test_a_file_that_cannot_be_used_has_its_reason_in_its_place(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.jpg").write_text("hello")
    good = list_rows(photos)[:3]
    rows = [good[0], {"image": str(tmp_path / "notes.jpg")}, good[1], {"image": "missing.jpg"}, good[2]]
    refused = []
    answers = list(
        predictor.predict(rows, 2, refuse=lambda row, error: refused.append((row, error.exit_code)))
    )
    assert [answer["image"] for answer in answers] == [row["image"] for row in rows]
    assert answers[1]["error"] == "not a picture: a text file"
    assert answers[3]["error"] == "missing file: there is no such file"
    assert refused == [(rows[1], 3), (rows[3], 3)]
    with pytest.raises(DataError, match=r"inputs\[1\]: not a picture"):
        list(predictor.predict(rows))


@pytest.mark.slow
def test_python_takes_paths(tiny_image_run: RunFolder, photos: Path) -> None:
    run = kerasft.load_run(tiny_image_run.path)
    paths = [Path(row["image"]) for row in list_rows(photos)[:2]]
    one, two = run.predict(paths)
    assert (one["image"], set(one["probabilities"])) == (str(paths[0]), set(CLASSES))
    alone = run.predict(str(paths[1]))
    assert alone["probabilities"] == pytest.approx(two["probabilities"], abs=1e-4)
    with pytest.raises(DataError, match="missing file"):
        run.predict("missing.jpg")


def test_the_command_takes_files_folders_and_globs(
    tiny_image_run: RunFolder, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.png").write_bytes((photos / "disc" / "disc 01.png").read_bytes()[:60])
    words = (
        photos / "stripes",
        f"{photos}/disc/*.png",
        tmp_path / "cut.png",
        photos / "square" / "square 00.jpg",
    )
    code, answers, said = run_main(capsys, tiny_image_run.path, *words, "--draw", tmp_path / "drawn")
    assert code == 10
    assert len(answers) == 12 + 6 + 1 + 1
    assert [name for name in ("error", "label") if name in answers[18]] == ["error"]
    assert "cut short" in answers[18]["error"]
    assert f"warning: {tmp_path / 'cut.png'}: cut short" in said
    assert "1 of 20 pictures could not be used; all others were answered" in said
    drawn = sorted(path.name for path in (tmp_path / "drawn").glob("[!.]*"))
    assert drawn == sorted(Path(answer["image"]).name for answer in answers if "label" in answer)
    with (
        Image.open(photos / "disc" / "disc 01.png") as source,
        Image.open(tmp_path / "drawn" / "disc 01.png") as copy,
    ):
        assert copy.height > source.height


@pytest.mark.slow
def test_the_command_writes_a_table_from_a_list(
    tiny_image_run: RunFolder, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "list.csv").write_text("picture\ndisc/disc 00.jpg\nmissing.jpg\n")
    target = tmp_path / "answers.csv"
    code, answers, _ = run_main(
        capsys, tiny_image_run.path, "--input", photos / "list.csv", "--column", "picture", "--to", target
    )
    assert (code, answers) == (10, [])
    rows = list(csv.DictReader(io.StringIO(target.read_text(), newline="")))
    assert [row["image"] for row in rows] == [str(photos / "disc/disc 00.jpg"), str(photos / "missing.jpg")]
    assert rows[1]["error"] == "missing file: there is no such file"
    (photos / "list.csv").unlink()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere/*.jpg"], 3, "matches no files"),
        (["nowhere.jpg"], 3, "no such file"),
    ],
)
def test_where_nothing_is_meant_nothing_is_loaded(
    tiny_image_run: RunFolder, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    found, answers, said = run_main(capsys, tiny_image_run.path, *words)
    assert (found, answers) == (code, [])
    assert message in said


def test_a_source_is_never_written_over(
    tiny_image_run: RunFolder, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (photos / "disc" / "disc 00.jpg").read_bytes()
    code, _, said = run_main(capsys, tiny_image_run.path, photos / "disc", "--draw", photos / "disc")
    assert code == 2
    assert "would be overwritten" in said
    assert (photos / "disc" / "disc 00.jpg").read_bytes() == before


def test_nothing_can_be_drawn_on_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("name: x\ntask: {type: text_classification}\ndata: {}\nmodel: {preset: y}\n")
    code, _, said = run_main(capsys, config, "A film.", "--draw", tmp_path / "drawn")
    assert code == 2
    assert "has nothing to draw on pictures" in said


def test_the_folder_holds_sheets_of_pictures(tiny_image_run: RunFolder) -> None:
    rows = [json.loads(line) for line in (tiny_image_run.predictions / "test.jsonl").read_text().splitlines()]
    wrong = sum(row["label"] != row["predicted"] for row in rows)
    assert (tiny_image_run.predictions / "test.mistakes.png").exists() == bool(wrong)
    with Image.open(tiny_image_run.augmentation) as sheet:
        assert sheet.width > 1000
    assert tiny_image_run.augmentation in tiny_image_run.list_trained()


def test_the_report_shows_the_mistakes(tiny_image_run: RunFolder) -> None:
    html = tiny_image_run.report.read_text(encoding="utf-8")
    for expected in ("test pictures", "the head alone", "the whole net", "Augmentation", "b64", "--draw"):
        assert expected in html


def test_tensorboard_shows_pictures(tiny_image_run: RunFolder) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tiny_image_run.logs / "validation"), {"tensors": 0})
    events.Reload()
    steps = {
        tag: [event.step for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if tag in ("mistakes", "augmented_examples", "confusion_matrix")
    }
    # 6 epochs of 6 steps on cached features, and 2 of the whole net
    assert steps["augmented_examples"] == [36]
    assert set(steps["mistakes"]) <= {36, 42, 48}
    assert steps["mistakes"]
    assert steps["confusion_matrix"] == [36, 42, 48]


def test_a_sheet_of_an_earlier_model_does_not_stay(tiny_image_run: RunFolder, tmp_path: Path) -> None:
    from kerasft.stages.evaluate import _write_sheet

    shutil.copy(tiny_image_run.augmentation, tmp_path / "x.mistakes.png")
    _write_sheet(tmp_path / "x.mistakes.png", None)
    assert not list(tmp_path.iterdir())


def test_pictures_are_drawn_alike_each_time() -> None:
    assert draw_picture("disc", 3).tobytes() == draw_picture("disc", 3).tobytes()


def test_the_kept_epoch_is_named_as_its_phase_counts_it() -> None:
    earlier = {"head": TrainingResult(None, epochs=2)}
    assert [name_epoch(epoch, earlier) for epoch in range(4)] == [
        "epoch 1 of the head", "epoch 2 of the head", "epoch 1", "epoch 2",
    ]  # fmt: skip
    assert name_epoch(3, {}) == "epoch 4"
