"""The tokenizer that a new text net begins with: trained on the corpus, or another preset's. Imports no TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from kerasft.errors import ConfigError
from kerasft.models.fetching import resolve_preset
from kerasft.progress import Progress
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import find_kind
from kerasft.text.tokenizers.training import train_tokenizer

_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "characters.json",
    "*.model",
    "*.spm",
    "assets/tokenizer/*",
)
"""What a preset's folder says its tokenizer by, in both forms."""


def find_tokenizer_files(config: TokenizerConfig) -> list[Path]:
    """The files of the preset whose tokenizer is taken; none where it is trained.

    Raises:
        PresetError: the preset cannot be had.
    """
    if config.preset is None:
        return []
    folder = resolve_preset(config.preset, needs_weights=False)
    return [path for pattern in _FILES for path in sorted(folder.glob(pattern)) if path.is_file()]


def write_tokenizer(
    config: TokenizerConfig, kinds: tuple[str, ...], texts: Iterable[str], folder: Path, progress: Progress
) -> None:
    """Writes the tokenizer that a section describes into a folder.

    Args:
        config: of a type that is trained, or with a preset.
        kinds: of tokenizers that the net can have.
        texts: what a new one is trained on.
        folder: where to.
        progress: where to report.

    Raises:
        ConfigError: the preset's tokenizer is of another kind; or the vocabulary is too small for the texts.
        DataError: the texts are empty.
        PresetError: the preset cannot be had, or its tokenizer cannot be read.
    """
    if config.preset is None:
        train_tokenizer(config, texts, folder, progress)
        return
    preset = resolve_preset(config.preset, needs_weights=False)
    kind = find_kind(preset)
    if kind not in kinds:
        raise ConfigError(
            f"the preset's tokenizer is of the kind {kind}; this net can have {' or '.join(kinds)}",
            where="tokenizer.preset",
            fix="Name another preset, or train a tokenizer: set tokenizer.type.",
        )
    for path in find_tokenizer_files(config):
        target = folder / path.relative_to(preset)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    progress.note(f"The tokenizer is that of {config.preset}.")
