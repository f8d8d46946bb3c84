"""The `export` section."""

from __future__ import annotations

from typing import Literal

import pydantic

from kerasft.config.base import Config


class ExportConfig(Config):
    """What is handed over, and how exact it must be."""

    formats: tuple[Literal["saved_model"], ...] = ("saved_model",)
    """What is written."""
    replay_examples: int = pydantic.Field(256, ge=1)
    """Raw examples replayed through the exported model in a clean process before it is published."""
    tolerance: float = pydantic.Field(1e-4, gt=0.0)
    """The largest difference in probability allowed between the export and the trained model."""
