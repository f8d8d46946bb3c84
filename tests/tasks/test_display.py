"""What a task's display says of an answer: a caption, a table's cells."""

from __future__ import annotations

import pytest
from PIL import Image

from kerasft.tasks.display import Display
from kerasft.tasks.image_classification.display import OneLabelPictureDisplay, SeveralLabelsPictureDisplay

PROBABILITIES = {"teal": 0.987, "red": 0.713}


@pytest.mark.parametrize(
    ("labels", "caption"),
    [([], "none"), (["teal"], "teal  98.7\u202f%"), (["teal", "red"], "teal  98.7\u202f%, red  71.3\u202f%")],
)
def test_a_caption_names_any_number_of_labels(labels: list[str], caption: str) -> None:
    display = SeveralLabelsPictureDisplay(None, ("teal", "red"))
    answer = {"labels": labels, "probabilities": PROBABILITIES}
    assert display.caption(answer) == caption
    assert display.draw(Image.new("RGB", (120, 80)), answer).height > 90


def test_a_caption_names_the_label() -> None:
    display = OneLabelPictureDisplay(None, ("teal", "red"))
    assert display.caption({"label": "red", "probabilities": PROBABILITIES}) == "red  71.3\u202f%"


def test_without_a_display_of_its_own_a_task_has_a_column_for_each_key() -> None:
    class Config:
        answer_keys = ("grade", "reasons")

    display = Display(Config())
    assert display.list_columns() == ["grade", "reasons"]
    assert display.list_cells({"grade": 2.5}) == [2.5, None]
    assert not display.can_draw
    assert not display.can_mark
