"""The report on a model of pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from test_page import HOSTILE, Page, assert_harmless

from kerasft.report import page, sections
from kerasft.tasks.image_classification.display import OneLabelPictureDisplay
from kerasft.tasks.labels_display import SplitPredictions

MANIFEST = {
    "fields": [
        {"name": "image", "kind": "image", "role": "input"},
        {"name": "label", "kind": "label", "role": "target", "labels": []},
    ],
    "splits": {
        "train": {
            "rows": 60,
            "labels": {"no": 30, "yes": 30},
            "rejected": {"cut short": 2},
            "notes": {"PNG named .jpg": 3, "GIF, first frame": 1},
        },
        "test": {"rows": 40, "labels": {"no": 20, "yes": 20}, "rejected": {}, "notes": {}},
    },
    "leaks": {
        "train → test": {
            "exact": 1,
            "near": 0,
            "examples": [{"row": "train/no/1.jpg", "text": "", "stands_in": "test/no/2.jpg", "as": ""}],
        }
    },
    "sources": [],
}
TRAINING = {
    "seconds": {"value": 132.0},
    "examples_per_second": {"value": 74.6},
    "padding_share": {"value": 0.0},
    "epochs": {"value": 40},
    "head_epochs": {"value": 30},
    "head_seconds": {"value": 22.4},
    "head_examples_per_second": {"value": 13667.2},
}
HISTORY = [
    {"step": step, "epoch": 1 + (step - 1) // 17, "loss": 1 / step, "learning_rate": 1e-3}
    for step in range(1, 681, 3)
]


class Pictures(Sequence[bytes]):
    """40 pictures that remember which of them were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index):
        self.asked.append(index)
        file = io.BytesIO()
        Image.new("RGB", (400, 100 + index), (index, 120, 200)).save(file, "JPEG")
        return file.getvalue()


@pytest.fixture
def found() -> SplitPredictions:
    """30 of 40 are wrong; the later, the surer."""
    wrong = np.linspace(0.51, 0.99, 40)
    return SplitPredictions(
        probabilities=np.stack([1 - wrong, wrong], axis=1),
        labels=np.where(np.arange(40) % 4 == 0, 1, 0),
        pictures=Pictures(),
        origins=[f"photos/deep/test/no/{index:02}.jpg" for index in range(40)],
    )


@pytest.fixture
def build(build_content, found):
    def build(**fields):
        return build_content(
            predictions={"test": found},
            **{"display_class": OneLabelPictureDisplay, "manifest": MANIFEST, "history": (), "usage": ()}
            | fields,
        )

    return build


def test_the_worst_mistakes_are_shown_as_small_pictures(build, found) -> None:
    html = page.render_report(build())
    parsed = assert_harmless(html)
    sources = [value for tag, name, value in parsed.attributes if (tag, name) == ("img", "src")]
    assert len(sources) == 20
    assert len(html) < 400_000
    assert found.pictures.asked == [i for i in range(39, 0, -1) if i % 4][:20]
    text = " ".join(" ".join(parsed.text).split())
    assert "30 of 40 test pictures are wrong. These 20" in text
    assert "no 1.0 % → yes 99.0 % no/39.jpg" in text
    sizes = {
        value
        for tag, name, value in parsed.attributes
        if (tag, name) in (("img", "width"), ("img", "height"))
    }
    assert "160" in sizes


def test_pictures_are_called_pictures(build) -> None:
    text = " ".join(Page(page.render_report(build())).text)
    for expected in ("On 40 test pictures", "Rejected pictures", "Pictures that stand in two splits"):
        assert expected in text
    for strange in ("Texts", "texts", "What a film"):
        assert strange not in text


def test_converted_and_misnamed_pictures_are_told_of(build) -> None:
    text = " ".join(" ".join(Page(page.render_report(build())).text).split())
    assert "train PNG named .jpg 3 train GIF, first frame 1" in text
    quiet = {**MANIFEST, "splits": {"test": MANIFEST["splits"]["test"]}}
    assert "had to be done" not in page.render_report(build(manifest=quiet))


def test_two_phases_are_told_apart(build) -> None:
    content = build(training=TRAINING, history=HISTORY)
    data = sections.build_training_section(content, "test").data
    assert data["phases"] == [
        {"name": "the head alone", "epochs": 30, "seconds": "22 s", "rate": "13,667"},
        {"name": "the whole net", "epochs": 10, "seconds": "1 min 50 s", "rate": "74.6"},
    ]
    assert data["facts"] == [("Time", "2 min 12 s")]
    assert data["shaded"]
    assert "On the grey ground the head alone learned" in page.render_report(content)


def test_one_phase_needs_no_table(build) -> None:
    one = {name: figure for name, figure in TRAINING.items() if not name.startswith("head")}
    data = sections.build_training_section(build(training=one, history=HISTORY), "test").data
    assert (data["phases"], data["shaded"]) == ([], False)
    assert ("Examples a second", "74.6") in data["facts"]


def test_a_sheet_of_varied_pictures_is_embedded(build) -> None:
    file = io.BytesIO()
    Image.effect_noise((1400, 900), 80).save(file, "PNG")
    html = page.render_report(build(augmentation=file.getvalue()))
    parsed = assert_harmless(html)
    (sheet,) = [value for tag, name, value in parsed.attributes if name == "src" and len(value) > 50_000]
    assert sheet.startswith("data:image/jpeg")
    assert "Augmentation" in html


def test_the_export_is_asked_with_encoded_pictures(build) -> None:
    commands = [command for _, command in sections.build_usage_section(build(), "test").data["commands"]]
    told = "\n".join(commands)
    assert (
        """{"instances": [{"b64": "%s"}]}' "$(base64 < photo.jpg | tr -d '\\n')" | curl -d @- http""" in told
    )
    assert "image=tf.constant([picture])" in told
    assert "film" not in told


def test_hostile_names_stay_text(build_content, found) -> None:
    strange = SplitPredictions(
        probabilities=found.probabilities,
        labels=found.labels,
        pictures=found.pictures,
        origins=[HOSTILE] * 40,
    )
    content = build_content(["<b>no</b>", HOSTILE], {"test": strange}, manifest=None, history=())
    assert_harmless(page.render_report(content))
