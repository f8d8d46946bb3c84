"""How labels of texts are shown."""

from __future__ import annotations

from kerasft.tasks.display import TextDisplay
from kerasft.tasks.single_label_display import SingleLabelDisplay


class TextClassificationDisplay(SingleLabelDisplay, TextDisplay):
    """One label for a text."""


DisplayClass = TextClassificationDisplay
