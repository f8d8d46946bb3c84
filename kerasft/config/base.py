"""The base class of every config section: frozen, unknown keys refused, no silent conversion."""

from __future__ import annotations

from typing import Any

import pydantic


class Config(pydantic.BaseModel):
    """A frozen section of a config. A subclass's docstring and field descriptions feed `kerasft schema`."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        # YAML has lists and no tuples; a frozen section holds tuples.
        if isinstance(value, dict):
            return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        return value
