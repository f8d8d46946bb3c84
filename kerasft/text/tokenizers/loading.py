"""From a folder to the tokenizer in it."""

from __future__ import annotations

from pathlib import Path

from kerasft.errors import PresetError
from kerasft.text.tokenizers.base import Tokenizer
from kerasft.text.tokenizers.reading import name_in_errors, read_json, refuse

_KNOWN = (
    "tokenizer.json of Hugging Face (WordPiece, byte-level BPE, unigram), vocab.txt, vocab.json with merges.txt, a "
    "SentencePiece unigram model, and what kerasft trains"
)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Loads the tokenizer that a folder contains, whichever kind it is of.

    Args:
        folder: with a tokenizer.json or other files of Hugging Face's libraries, a SentencePiece model, or what
            `train_tokenizer` wrote.

    Raises:
        PresetError: there is none, it is of another kind, or its files are broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PresetError(
            "There is no such folder.", where=str(folder), fix="Name a folder with a tokenizer."
        )
    with name_in_errors(folder):
        kind = find_kind(folder)
        if kind == "wordpiece":
            from kerasft.text.tokenizers.vocabulary import load_vocabulary
            from kerasft.text.tokenizers.wordpiece import WordPiece

            return WordPiece(load_vocabulary(folder))
        if kind == "byte_bpe":
            from kerasft.text.tokenizers.bpe_files import read_byte_bpe
            from kerasft.text.tokenizers.byte_bpe import ByteBpe

            return ByteBpe(read_byte_bpe(folder))
        if kind == "unigram":
            from kerasft.text.tokenizers.unigram import Unigram
            from kerasft.text.tokenizers.unigram_files import read_unigram

            return Unigram(read_unigram(folder))
        if kind == "characters":
            from kerasft.text.tokenizers.characters import Characters, read_characters

            return Characters(read_characters(folder))
        raise refuse(f"is {kind}", _KNOWN)


def find_kind(folder: Path) -> str:
    """The kind of the tokenizer in a folder, in the words of `TokenizerConfig.type`.

    Raises:
        PresetError: there is none.
    """
    whole = read_json(folder / "tokenizer.json")
    model = whole.get("model")
    if model:
        kind = model.get("type") or ("BPE" if "merges" in model else "WordPiece")
        return {"WordPiece": "wordpiece", "BPE": "byte_bpe", "Unigram": "unigram"}.get(kind, kind)
    names = (("vocab.txt", "wordpiece"), ("merges.txt", "byte_bpe"), ("characters.json", "characters"))
    for name, kind in names:
        if (folder / name).exists():
            return kind
    if any(path.suffix in (".model", ".spm") for path in folder.iterdir()):
        return "unigram"
    if (folder / "assets" / "tokenizer" / "vocabulary.txt").exists():
        return "wordpiece"
    raise PresetError("The folder contains no tokenizer.", fix=f"kerasft reads {_KNOWN}.")
