"""The options of writing: a section of a config, and the arguments of a command."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import pydantic

from kerasft.config.base import Config
from kerasft.config.describe import Place
from kerasft.errors import ConfigError


class GenerationConfig(Config):
    """How a model writes."""

    max_new_tokens: int = pydantic.Field(128, ge=1, le=1_000_000)
    """Number of tokens after which a text ends at the latest."""
    temperature: float = pydantic.Field(0.8, ge=0.0, le=1000.0)
    """What scores are divided by before a token is drawn: below 1, likely tokens become likelier. 0: always the
    likeliest token."""
    top_k: int = pydantic.Field(0, ge=0, le=2**31 - 1)
    """Number of likeliest tokens of which one is drawn. 0: of all tokens."""
    top_p: float = pydantic.Field(0.95, gt=0.0, le=1.0)
    """Probability that the likeliest tokens of which one is drawn have together at least. 1: of all tokens."""
    repetition_penalty: float = pydantic.Field(1.0, gt=0.0, le=1000.0)
    """Above 1, tokens that the text has already become less likely; 1.1 to 1.3 against texts that go in circles."""
    stop: tuple[Annotated[str, pydantic.Field(min_length=1)], ...] = pydantic.Field((), max_length=64)
    """Strings before which a text ends."""
    seed: int = pydantic.Field(0, ge=0, le=2**63 - 1)
    """The random seed: the same seed gives the same text."""

    def change(
        self, options: Mapping[str, Any], where: str, spelling: Mapping[str, str] = MappingProxyType({})
    ) -> GenerationConfig:
        """The same with other values; those that are None stay.

        Args:
            options: values by their keys.
            where: what an error names as its place.
            spelling: how the user writes a key (`--top-k`), where that is not the key itself.

        Raises:
            ConfigError: there is no such key, or a value is none that it takes.
        """
        given = {key: value for key, value in options.items() if value is not None}
        try:
            return GenerationConfig.model_validate({**self.model_dump(), **given})
        except pydantic.ValidationError as error:
            key = str(error.errors()[0]["loc"][0])
        name = spelling.get(key, key)
        places = Place.of(GenerationConfig).keys
        if key not in places:
            known = ", ".join(spelling.get(each, each) for each in places)
            raise ConfigError(f"there is no option {name}", where=where, fix=f"There are {known}.")
        expected = places[key].describe()
        raise ConfigError(f"{name}: expected {expected}, got {given[key]!r:.60}", where=where)
