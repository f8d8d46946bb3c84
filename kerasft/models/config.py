"""The `model` section: which pre-trained net, and how it is held."""

from __future__ import annotations

from typing import Annotated

import pydantic

from kerasft.config.base import Config, PathField


class TextModelConfig(Config):
    """A pre-trained text encoder and what stands on it."""

    preset: Annotated[str, PathField(may_be_name=True)]
    """A keras-hub name (`bert_base_en_uncased`), `hf://owner/name`, `kaggle://…`, `modelscope://…`, a local folder
    (keras-hub or Hugging Face format), `package:module/folder` (inside an installed package), or the `preset/`
    folder of another run."""
    max_length: int = pydantic.Field(128, ge=8, le=8192)
    """Tokens an example may have, [CLS] and [SEP] included; longer texts are cut."""
    dropout: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Dropout on the pooled output, before the head."""
    random_weights: bool = False
    """Takes the preset's architecture and vocabulary, but not its weights."""
