"""Trains a unigram language model of pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.files import write_json, write_text
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.corpus import Corpus, check_room, keep_frequent
from kerasft.text.tokenizers.sentencepiece_model import read_charsmap

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def train_unigram(config: TokenizerConfig, corpus: Corpus, folder: Path) -> int:
    """Trains and writes tokenizer.json, as XLM-R's are: SentencePiece's rules of normalisation, white space to ▁.

    Returns:
        How many tokens there are.

    Raises:
        ConfigError: the vocabulary is too small for the corpus' characters.
        DataError: the texts are empty.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    charsmap = _find_charsmap("nmt_nfkc_cf" if config.lowercase else "nmt_nfkc")
    normalizer = normalizers.Precompiled(charsmap)
    characters = corpus.count_characters(normalizer.normalize_str)
    frequent = keep_frequent(config, characters)
    check_room(config, len(SPECIALS) + len(frequent) + 1)
    # Each character that the trainer meets becomes a piece: it does not meet the rare ones.
    rare = {ord(character): " " for character in characters[len(frequent) :]}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=config.vocabulary_size,
        special_tokens=[*SPECIALS],
        unk_token="<unk>",
        show_progress=False,
    )
    texts = (normalizer.normalize_str(part).translate(rare) for part in corpus.read())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    _write_config(folder)
    return tokenizer.get_vocab_size()


def _write_config(folder: Path) -> None:
    names = {
        "bos": "<s>",
        "eos": "</s>",
        "unk": "<unk>",
        "cls": "<s>",
        "sep": "</s>",
        "pad": "<pad>",
        "mask": "<mask>",
    }
    settings: dict[str, Any] = {f"{short}_token": name for short, name in names.items()}
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **settings},
    )


def _find_charsmap(rules: str) -> bytes:
    """One of the tables of rules that come with SentencePiece."""
    from sentencepiece import SentencePieceNormalizer

    return read_charsmap(SentencePieceNormalizer(rule_name=rules).serialized_model_proto())
