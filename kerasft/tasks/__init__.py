"""What a model can learn: a folder a task, and a line here."""

from __future__ import annotations

TASKS = {
    "text_classification": "kerasft.tasks.text_classification",
}
