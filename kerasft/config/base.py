"""The base class of every config section: frozen, unknown keys refused, no silent conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys of which one at most may be named: naming one takes the place of a default for another."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_plain_values(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # YAML has lists and no tuples; a frozen section holds tuples.
        read: dict[Any, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        for name, field in cls.model_fields.items():
            if isinstance(read.get(name), dict) and isinstance(field.discriminator, str):
                read[name] = _complete_section(read[name], field.discriminator, field.default)
        return read


def _complete_section(section: dict[Any, Any], tag: str, default: Any) -> dict[Any, Any]:
    """A section whose kind is not named, and whose keys the default's kind has, is the default with changes."""
    if (
        not isinstance(default, Config)
        or tag in section
        or not set(section) <= set(type(default).model_fields)
    ):
        return section
    completed = dict(section)
    fill_from_default(completed, default)
    return completed


def fill_from_default(section: dict[Any, Any], default: Config) -> None:
    """Gives a section what a default of its kind sets and it does not.

    Args:
        section: plain values, changed in place.
        default: whose own settings are taken.
    """
    named = set(section)
    for key, value in default.model_dump(mode="json", exclude_unset=True).items():
        if not any(key in keys and named & set(keys) for keys in default.alternatives):
            section.setdefault(key, value)
