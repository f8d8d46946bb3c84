"""The base class of every config section: frozen, unknown keys refused, no silent conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic


@dataclass(frozen=True)
class PathField:
    """Marks a field (text, or a list of texts) as naming files: `Annotated[str, PathField()]`.

    A relative path is taken from the config file's folder, not from where the command was started.
    `scheme://…` and `package:module/file` are no paths and stay as they are.

    Args:
        may_be_name: the text may also be a name (of a preset, say): then only `./x`, `../x`, `/x`, `~/x` and what
            is there as a file or folder count as paths.
    """

    may_be_name: bool = False


class Config(pydantic.BaseModel):
    """A frozen section of a config. A subclass's docstring and field descriptions feed `kerasft schema`."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
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
