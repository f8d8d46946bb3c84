"""How labels of pictures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasft.tasks.display import Display, PictureDisplay
from kerasft.tasks.multi_label_display import MultiLabelDisplay
from kerasft.tasks.single_label_display import SingleLabelDisplay


class OneLabelPictureDisplay(SingleLabelDisplay, PictureDisplay):
    """One label for a picture."""


class SeveralLabelsPictureDisplay(MultiLabelDisplay, PictureDisplay):
    """Any number of labels for a picture."""


def DisplayClass(config: Any, label_names: Sequence[str] = ()) -> Display:
    """The display for what the `task` section says."""
    chosen = SeveralLabelsPictureDisplay if config.multi_label else OneLabelPictureDisplay
    return chosen(config, label_names)
