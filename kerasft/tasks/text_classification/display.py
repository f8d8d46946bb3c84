"""How labels of texts are shown."""

from __future__ import annotations

from kerasft.tasks.display import TextDisplay
from kerasft.tasks.one_label_display import OneLabelDisplay


class TextClassificationDisplay(OneLabelDisplay, TextDisplay):
    """One label for a text."""


DisplayClass = TextClassificationDisplay
