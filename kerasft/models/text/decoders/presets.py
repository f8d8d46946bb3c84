"""From a local preset — a folder in one of three forms, or a GGUF file — to a causal language model of our layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import ConfigError, PresetError
from kerasft.models.blank import blank_weights
from kerasft.models.hubs.folders import list_weight_files, read_json
from kerasft.models.text.decoders.families import (
    DecoderFamily,
    list_families,
    name_families,
    recognise_family,
)
from kerasft.models.text.decoders.gguf_files import is_gguf, open_gguf
from kerasft.models.text.decoders.sizes import DecoderSizes
from kerasft.models.text.hugging_face import check_tensors, read_tensor_headers, read_tensors
from kerasft.models.text.sizes import FETCH, check_holds_parameters, is_hub_form
from kerasft.models.weights.files import check_finite, check_h5_file


def find_decoder_family(preset: Path) -> DecoderFamily:
    """The family of a preset's folder, or of a GGUF file.

    Raises:
        PresetError: it is of no known one, or cannot be read.
    """
    if is_gguf(preset):
        name = str(open_gguf(preset).metadata.get("general.architecture"))
        family = next((each for each in list_families() if name in each.architectures), None)
        known = ", ".join(name for each in list_families() for name in each.architectures)
    else:
        config = read_json(preset / "config.json")
        name = str(config.get("class_name") or config.get("registered_name") or config.get("model_type"))
        family, known = recognise_family(config), name_families()
    if family is None:
        raise PresetError(
            f"The preset is a {name[:60]}; language models are read of these: {known}.",
            where=str(preset),
            fix="See `kerasft presets list` for what can be named.",
        )
    return family


def read_decoder_sizes(preset: Path) -> DecoderSizes:
    """The sizes of a preset's net; its weights are not read.

    Raises:
        PresetError: it is of no known family, or of sizes that are not believed.
    """
    family = find_decoder_family(preset)
    return open_gguf(preset).read_sizes(family) if is_gguf(preset) else family.read_sizes(preset)


def load_decoder(
    preset: Path,
    *,
    random_weights: bool = False,
    seed: int | None = 0,
    dropout: float = 0.0,
    matmul_dtype: str = "float32",
    context: int | None = None,
) -> Any:
    """The causal language model of a preset.

    Args:
        preset: a folder in keras-hub's, Hugging Face's or our own form, or a GGUF file.
        random_weights: the architecture only, with fresh weights.
        seed: of those, and of dropout.
        dropout, matmul_dtype: see `build_causal_lm`.
        context: how many tokens rows will have; None: at most what the net was made for.

    Returns:
        A model of `build_causal_lm`.

    Raises:
        PresetError: the preset cannot be read, its weights do not fit or are not finite, or it is of no known family.
        ConfigError: the net was made for fewer tokens than `context`.
    """
    from safetensors import SafetensorError

    from kerasft.models.text.decoders.build import build_causal_lm

    family, sizes = find_decoder_family(preset), read_decoder_sizes(preset)
    check_context(sizes, context)
    if random_weights:
        return build_causal_lm(sizes, dropout=dropout, seed=seed, matmul_dtype=matmul_dtype)
    _check_weights(preset, family, sizes)
    model = build_causal_lm(sizes, dropout=dropout, seed=seed, matmul_dtype=matmul_dtype, blank=True)
    try:
        _fill(model, preset, family, sizes)
    except (
        ValueError, OSError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise PresetError(
            f"The preset cannot be loaded: {str(error)[:1000]}", where=str(preset), fix=FETCH
        ) from error
    check_finite(model, preset)
    return model


def check_context(sizes: DecoderSizes, context: int | None) -> None:
    """Refuses rows of more tokens than the net was made for.

    Raises:
        ConfigError: `context` is larger.
    """
    if context is not None and context > sizes.context:
        raise ConfigError(
            f"the preset supports {sizes.context} positions, but context is {context}",
            where="model.context",
            fix=f"Set model.context to {sizes.context} or less.",
        )


def _check_weights(preset: Path, family: DecoderFamily, sizes: DecoderSizes) -> None:
    """Makes sure that the weights are there, in the sizes asked for, before memory is taken for them."""
    if is_gguf(preset):
        file, stored = open_gguf(preset), family.list_gguf(sizes)
        file.check({part.name: part.shape for parts in stored.values() for part in parts})
        return
    paths = [preset / name for name in list_weight_files(preset)]
    check_holds_parameters(sizes, sum(path.stat().st_size for path in paths), preset / "config.json")
    if is_hub_form(preset):  # in which Keras itself compares each weight's shape when it is read
        for path in (path for path in paths if path.suffix == ".h5"):
            try:
                check_h5_file(path)
            except ValueError as error:
                raise PresetError(
                    f"The weights cannot be loaded: {error}", where=str(path), fix=FETCH
                ) from error
        return
    tensors = read_tensor_headers(preset)
    stored = family.list_stored(sizes, list(tensors))
    check_tensors(preset, tensors, {part.name: part.shape for parts in stored.values() for part in parts})


def _fill(model: Any, preset: Path, family: DecoderFamily, sizes: DecoderSizes) -> None:
    from kerasft.models.text.decoders.weights import fill_from_parts, fill_from_tensors

    if is_gguf(preset):
        stored = family.list_gguf(sizes)
        fill_from_tensors(
            model, stored, open_gguf(preset).read([part.name for parts in stored.values() for part in parts])
        )
    elif is_hub_form(preset):
        with blank_weights():
            public = family.build_public(sizes)
        whole = (preset / "model.weights.h5").exists()
        public.backbone.load_weights(preset / ("model.weights.h5" if whole else "model.weights.json"))
        fill_from_parts(model, family.list_public(public, sizes))
    else:
        stored = family.list_stored(sizes, list(read_tensor_headers(preset)))
        names = [part.name for parts in stored.values() for part in parts]
        fill_from_tensors(model, stored, read_tensors(preset, names))
