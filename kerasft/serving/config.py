"""The `export` section."""

from __future__ import annotations

from typing import Literal

import pydantic

from kerasft.config.base import Config


class ExportConfig(Config):
    """What is exported, and how closely it must match the trained model."""

    formats: tuple[Literal["saved_model"], ...] = ("saved_model",)
    """The formats of the export."""
    replay_examples: int = pydantic.Field(256, ge=1)
    """Number of raw examples that a clean process runs through the export before it is published."""
    tolerance: float = pydantic.Field(1e-4, gt=0.0)
    """The largest difference in probability that is allowed between the export and the trained model."""

    @pydantic.field_validator("formats")
    @classmethod
    def _names_a_format(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(
                "names no format: to export nothing, set the whole section to null (export: null)"
            )
        return value
