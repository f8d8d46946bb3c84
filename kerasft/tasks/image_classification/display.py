"""How labels of pictures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasft.tasks.display import Display, PictureDisplay
from kerasft.tasks.one_label_display import OneLabelDisplay
from kerasft.tasks.several_labels_display import SeveralLabelsDisplay


class OneLabelPictureDisplay(OneLabelDisplay, PictureDisplay):
    """One label for a picture."""


class SeveralLabelsPictureDisplay(SeveralLabelsDisplay, PictureDisplay):
    """Any number of labels for a picture."""


def DisplayClass(config: Any, label_names: Sequence[str] = ()) -> Display:
    """The display for what the `task` section says."""
    chosen = SeveralLabelsPictureDisplay if config.multi_label else OneLabelPictureDisplay
    return chosen(config, label_names)
