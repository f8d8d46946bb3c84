"""New decoders: what is written of one before it has weights. Imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path

from kerasft.errors import ConfigError
from kerasft.files import write_json
from kerasft.models.text.decoders.families import load_family


def write_decoder_config(
    folder: Path,
    *,
    family: str,
    vocabulary_size: int,
    layers: int,
    width: int,
    heads: int,
    context: int,
    kv_heads: int | None = None,
    feedforward: int | None = None,
) -> None:
    """Writes a new decoder's config.json into a folder with a tokenizer, in Hugging Face's form or our own.

    `load_decoder(folder, random_weights=True)` builds the net.

    Args:
        folder: where to.
        family: a name in `kerasft.models.text.decoders.families.FAMILIES`.
        vocabulary_size: of the tokenizer.
        layers, width, heads, kv_heads, feedforward: of the net; see `DecoderFamily.make_sizes`.
        context: tokens.

    Raises:
        ConfigError: no net of this family has these sizes.
    """
    chosen = load_family(family)
    try:
        sizes = chosen.make_sizes(
            vocabulary_size=vocabulary_size,
            layers=layers,
            width=width,
            heads=heads,
            context=context,
            kv_heads=kv_heads,
            feedforward=feedforward,
        )
    except ValueError as error:
        raise ConfigError(
            f"no net of the family {chosen.title} has these sizes: {error}",
            where="model.size",
            fix="Choose a width that is a multiple of heads, and heads that are a multiple of kv_heads.",
        ) from error
    write_json(folder / "config.json", chosen.describe(sizes))
