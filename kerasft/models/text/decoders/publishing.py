"""What a trained decoder is left as: `model.keras`, which opens without kerasft, and `preset/`, which is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.files import whole_folder
from kerasft.integrity import recorded_file, write_hashes
from kerasft.models.blank import blank_weights
from kerasft.models.hubs.folders import check_preset_folder
from kerasft.models.text.decoders.build import build_causal_lm, find_sizes
from kerasft.models.text.decoders.presets import find_decoder_family, read_decoder_sizes
from kerasft.models.text.decoders.tokenizer_files import save_tokenizer
from kerasft.models.text.decoders.weights import fill_from_parts, hand_to_parts
from kerasft.models.text.sizes import FETCH, check_holds_parameters
from kerasft.models.weights.saved_models import load_model_weights, measure_weights
from kerasft.text.tokenizers.base import Tokenizer

_MODEL, _PRESET = "model.keras", "preset"


def publish_decoder(model: Any, preset: Path, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes a model as `model.keras` and as `preset/`; products beside dense layers are added to these.

    Args:
        model: of `build_causal_lm`, of the preset's sizes.
        preset: what the training began with: its family is kept, and the files of its tokenizer.
        tokenizer: the preset's.
        folder: the run's.

    Raises:
        PresetError: the tokenizer has more tokens than the model.
        StorageError: the files cannot be written.
    """
    sizes = find_sizes(model)
    if tokenizer.vocabulary_size > sizes.vocabulary_size:
        raise PresetError(
            f"The tokenizer has {tokenizer.vocabulary_size:,} tokens, and the model {sizes.vocabulary_size:,}.",
            where=str(preset),
            fix=FETCH,
        )
    family = find_decoder_family(preset)
    with blank_weights():
        public = family.build_public(sizes)
    hand_to_parts(model, family.list_public(public, sizes))
    with recorded_file(folder, folder / _MODEL) as path:
        public.save(path)
    with whole_folder(folder / _PRESET) as path:
        family.save_preset(model, public, sizes, path)
        save_tokenizer(tokenizer, preset, path)
        write_hashes(path)


def load_published_decoder(
    folder: Path, *, dropout: float = 0.0, seed: int | None = 0, matmul_dtype: str = "float32"
) -> Any:
    """The model of our layers with the weights of `model.keras`, which is read as data.

    Args:
        folder: of `publish_decoder`.
        dropout, seed, matmul_dtype: see `build_causal_lm`.

    Raises:
        PresetError: a file is damaged or missing, or the two are of different models.
    """
    preset, path = folder / _PRESET, folder / _MODEL
    check_preset_folder(preset, needs_weights=False)
    family, sizes = find_decoder_family(preset), read_decoder_sizes(preset)
    check_holds_parameters(sizes, measure_weights(path), preset / "config.json")
    public = family.build_public(sizes)
    load_model_weights(public, path)
    model = build_causal_lm(sizes, dropout=dropout, seed=seed, matmul_dtype=matmul_dtype, blank=True)
    fill_from_parts(model, family.list_public(public, sizes))
    return model
