"""The tokenizer of a decoder's preset, and its chat template: read from a folder or a GGUF file, and handed on."""

from __future__ import annotations

import shutil
from pathlib import Path

from kerasft.files import write_text
from kerasft.models.hubs.folders import list_preset_files
from kerasft.models.text.decoders.gguf_files import is_gguf, open_gguf
from kerasft.text.tokenizers.base import Tokenizer
from kerasft.text.tokenizers.reading import name_in_errors, read_file, read_json

_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "characters.json",
    "chat_template.jinja",
)
_ASSETS = "assets/tokenizer"
_TEMPLATE = "chat_template.jinja"


def load_decoder_tokenizer(preset: Path) -> Tokenizer:
    """The tokenizer of a preset's folder or GGUF file.

    Raises:
        PresetError: there is none, it is of another kind, or its files are broken.
    """
    from kerasft.text.tokenizers.byte_bpe import ByteBpe
    from kerasft.text.tokenizers.gguf_tokens import read_gguf_tokens
    from kerasft.text.tokenizers.loading import load_tokenizer

    if is_gguf(preset):
        with name_in_errors(preset):
            return ByteBpe(read_gguf_tokens(open_gguf(preset).metadata))
    is_hubs = (preset / _ASSETS).is_dir() and "model" not in read_json(preset / "tokenizer.json")
    has_own = any((preset / name).exists() for name in ("merges.txt", "tokenizer.model", "characters.json"))
    return load_tokenizer(preset / _ASSETS if is_hubs and not has_own else preset)


def load_chat_template(preset: Path) -> str | None:
    """The Jinja template by which a preset was taught conversations, as a text; None where it has none.

    It is data: nothing of it is run here.

    Raises:
        PresetError: the file that holds it is broken.
    """
    if is_gguf(preset):
        template = open_gguf(preset).metadata.get("tokenizer.chat_template")
    elif (preset / _TEMPLATE).is_file():
        with name_in_errors(preset / _TEMPLATE):
            return read_file(preset / _TEMPLATE).decode("utf-8")
    else:
        template = read_json(preset / "tokenizer_config.json").get("chat_template")
        if isinstance(template, list):  # several, each with a name
            named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
            template = named.get("default")
    return template if isinstance(template, str) else None


def save_tokenizer(tokenizer: Tokenizer, preset: Path, folder: Path) -> None:
    """Writes a preset's tokenizer and chat template into another preset's folder.

    Args:
        tokenizer: of `load_decoder_tokenizer`.
        preset: where it came from: a folder's files are copied; a GGUF file's become tokenizer.json.
        folder: an existing one.
    """
    from kerasft.text.tokenizers.bpe_writing import write_byte_bpe
    from kerasft.text.tokenizers.byte_bpe import ByteBpe

    if is_gguf(preset):
        assert isinstance(tokenizer, ByteBpe)
        write_byte_bpe(tokenizer.vocabulary, folder)
        template = load_chat_template(preset)
        if template is not None:
            write_text(folder / _TEMPLATE, template)
        return
    for name in list_preset_files(preset):
        if name in _FILES or name.startswith(f"{_ASSETS}/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(preset / name, folder / name)
