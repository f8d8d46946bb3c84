"""Trains a tokenizer on a corpus and writes it as a folder that kerasft and Hugging Face's libraries can open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kerasft.files import whole_folder, write_json, write_text
from kerasft.progress import Progress, Silent
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.corpus import Corpus, check_room, empty_corpus, keep_frequent
from kerasft.text.tokenizers.patterns import PATTERNS
from kerasft.text.tokenizers.training_unigram import train_unigram

WORDPIECE_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
END_OF_TEXT = "<|endoftext|>"
_CONTINUATION = "##"


def train_tokenizer(
    config: TokenizerConfig, texts: Iterable[str], folder: str | Path, progress: Progress | None = None
) -> None:
    """Trains the tokenizer that a config describes, and writes it into `folder`, whole or not at all.

    The same texts give the same tokenizer, but for `unigram`: there the scores that `tokenizers` finds differ in the
    third digit after the point from one training to the next. Memory grows with the number of different words, not with
    the number of texts.

    Args:
        config: of any type but `preset`.
        texts: what to train on. Some types read them twice; what can be read only once is copied to a file beside
            `folder` for that time.
        folder: takes the place of what stands there.
        progress: where to report to.

    Raises:
        ConfigError: the vocabulary is too small for the corpus' characters.
        DataError: the texts are empty.
        StorageError: the folder cannot be written.
        ValueError: the config's type is `preset`.
    """
    progress = Silent() if progress is None else progress
    if config.type not in _TRAINERS:
        raise ValueError(f"A tokenizer of type {config.type!r} is not trained.")
    with whole_folder(folder) as temporary:
        corpus = Corpus(texts, temporary / "corpus.jsonl", progress)
        try:
            size = _TRAINERS[config.type](config, corpus, temporary)
        finally:
            corpus.close()
    if config.type != "characters" and size < config.vocabulary_size:
        progress.warn(
            f"The tokenizer has {size:,} tokens, not {config.vocabulary_size:,}: the corpus contains no more that are "
            "frequent enough."
        )


def _train_wordpiece(config: TokenizerConfig, corpus: Corpus, folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    def assemble(vocabulary: dict[str, int]) -> Tokenizer:
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(
            lowercase=config.lowercase, strip_accents=config.lowercase
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    tokenizer = assemble({})
    characters = corpus.count_characters(tokenizer.normalizer.normalize_str)
    characters = keep_frequent(config, characters)
    # The trainer numbers the characters that continue a word in a random order, which decides between pairs of equal
    # frequency. Naming them here makes two trainings on the same texts the same.
    continuations = [_CONTINUATION + c for c in sorted(characters) if _continues_words(tokenizer, c)]
    check_room(config, len(WORDPIECE_SPECIALS) + len(characters) + len(continuations))
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=[*WORDPIECE_SPECIALS, *continuations],
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        continuing_subword_prefix=_CONTINUATION,
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus.read(), trainer)
    vocabulary = tokenizer.get_vocab()
    tokenizer = assemble(vocabulary)
    tokenizer.add_special_tokens([*WORDPIECE_SPECIALS])
    tokenizer.decoder = decoders.WordPiece(_CONTINUATION, cleanup=False)
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_text(
        folder / "vocab.txt", "".join(f"{p}\n" for p in sorted(vocabulary, key=lambda p: vocabulary[p]))
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": config.lowercase,
            "strip_accents": config.lowercase,
            "tokenize_chinese_chars": True,
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
        },
    )
    return len(vocabulary)


def _train_byte_bpe(config: TokenizerConfig, corpus: Corpus, folder: Path) -> int:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    pattern = PATTERNS[config.pattern]
    tokenizer = Tokenizer(models.BPE())
    steps: list[Any] = []
    if pattern.isolates_digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    usual = pattern.expression == PATTERNS["gpt2"].expression
    if not usual:
        steps.append(pre_tokenizers.Split(Regex(pattern.expression), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=usual))
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus.read(), trainer)
    if not corpus.has_text:
        raise empty_corpus()
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    tokenizer.model.save(str(folder))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
        },
    )
    return tokenizer.get_vocab_size()


def _continues_words(tokenizer: Any, character: str) -> bool:
    """Whether it can stand inside a word; punctuation and ideographs are words of their own."""
    return (
        len(tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str("a" + character)))
        == 1
    )


def _train_characters(config: TokenizerConfig, corpus: Corpus, folder: Path) -> int:
    from kerasft.text.tokenizers.characters import FILE_NAME, SPECIALS, describe_characters

    characters = corpus.count_characters(str, spaces=True)[: config.max_characters]
    write_json(folder / FILE_NAME, describe_characters(sorted(characters)))
    return len(SPECIALS) + len(characters)


_TRAINERS: dict[str, Any] = {
    "wordpiece": _train_wordpiece,
    "byte_bpe": _train_byte_bpe,
    "unigram": train_unigram,
    "characters": _train_characters,
}
