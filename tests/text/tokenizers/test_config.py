"""The `tokenizer` section refuses keys that its type does not take."""

from __future__ import annotations

import pydantic
import pytest

from kerasft.text.tokenizers.config import TokenizerConfig


def test_the_preset_is_the_default_and_takes_no_keys() -> None:
    assert TokenizerConfig().type == "preset"
    with pytest.raises(pydantic.ValidationError, match="vocabulary_size is only for type"):
        TokenizerConfig(vocabulary_size=4096)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "wordpiece", "pattern": "llama3"}, "pattern is only for type `byte_bpe`"),
        ({"type": "byte_bpe", "lowercase": True}, "lowercase is only for type `wordpiece` and `unigram`"),
        ({"type": "unigram", "min_frequency": 5}, "min_frequency is only for"),
        ({"type": "characters", "vocabulary_size": 100}, "vocabulary_size is only for"),
        ({"type": "byte_bpe", "max_characters": 100}, "max_characters is only for"),
        ({"type": "byte_bpe", "vocabulary_size": 256}, "at least 257"),
    ],
)
def test_keys_of_other_types_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        TokenizerConfig(**settings)


@pytest.mark.parametrize("kind", ["preset", "wordpiece", "byte_bpe", "unigram", "characters"])
def test_a_whole_section_written_out_is_read_again(kind: str) -> None:
    config = TokenizerConfig(type=kind)
    assert TokenizerConfig(**config.model_dump()) == config
