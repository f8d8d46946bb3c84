"""The options of writing are checked by name."""

from __future__ import annotations

import pytest

from kerasft.errors import ConfigError
from kerasft.text.generation.config import GenerationConfig


def test_options_change_what_they_name_and_nothing_else() -> None:
    config = GenerationConfig(temperature=0.5, stop=("x",))
    changed = config.change({"temperature": 0, "top_k": 5, "seed": None, "stop": ["a", "b"]}, "here")
    assert changed == GenerationConfig(temperature=0.0, top_k=5, stop=("a", "b"))
    assert config.change({}, "here") == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "--temperature: expected a number ≥ 0.0 and ≤ 1000.0, got -1.0"),
        ({"top_p": 0.0}, "--top-p: expected a number > 0.0 and ≤ 1.0, got 0.0"),
        ({"top_k": 2.5}, "top_k: expected a whole number ≥ 0 and ≤ 2147483647, got 2.5"),
        ({"max_new_tokens": "many"}, "max_new_tokens: expected a whole number ≥ 1 and ≤ 1000000, got 'many'"),
        ({"stop": [""]}, "stop: expected a list (text of at least 1 characters), got ['']"),
        ({"temprature": 1.0}, "there is no option temprature"),
    ],
)
def test_an_option_with_another_value_is_named_as_the_user_wrote_it(options, message: str) -> None:
    spelling = {"temperature": "--temperature", "top_p": "--top-p"}
    with pytest.raises(ConfigError) as caught:
        GenerationConfig().change(options, "generate", spelling)
    assert (caught.value.what, caught.value.where) == (message, "generate")
