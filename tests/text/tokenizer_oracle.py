"""What the tests of the text room share: the oracle, vocabularies and texts to compare on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from kerasft.text.tokenizers.character_table import Kind, load_character_table
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VARIANTS = [(lowercase, strip) for lowercase in (False, True) for strip in (False, True)]
# What the saved graph may hold: ops of core TensorFlow, all there in TensorFlow 2.12.
CORE_OPS = """
    AddV2 BitwiseAnd BroadcastTo Cast ConcatV2 Const Cumsum EmptyTensorList Equal Fill GatherV2 Greater
    GreaterEqual Identity Less LessEqual LogicalAnd LogicalNot LowerBound Max Maximum MergeV2Checkpoints Minimum
    Mul Neg NoOp NotEqual Pack Pad PartitionedCall Placeholder Prod RaggedRange Range Reshape RestoreV2 RightShift
    SaveV2 Select SelectV2 Shape ShardedFilename Size Squeeze StatefulPartitionedCall StatelessWhile
    StaticRegexFullMatch StridedSlice StringJoin Sub TensorListConcatV2 TensorListPushBack TensorScatterUpdate
    TopKV2 UnicodeDecode Unpack UpperBound Where ZerosLike
"""
# More of them, which the tokenizers of language models use; all there in TensorFlow 2.6.
MORE_CORE_OPS = """
    All ArgMax BitwiseXor DecodeRaw ExpandDims FloorMod GatherNd LeftShift LogicalOr OnesLike RaggedTensorToTensor
    ReduceJoin SegmentMin StaticRegexReplace StringLength StringToHashBucketFast TensorScatterMax Tile UnicodeEncode
    Unique UnsortedSegmentJoin UnsortedSegmentMin
"""


def build_reference(vocabulary: WordPieceVocabulary) -> Tokenizer:
    """Hugging Face's BERT tokenizer with the special tokens off: text is data."""
    model = models.WordPiece(
        vocabulary.index,
        unk_token=vocabulary.unknown,
        max_input_chars_per_word=vocabulary.max_characters_per_word,
        continuing_subword_prefix=vocabulary.continuation,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=vocabulary.lowercase,
        strip_accents=vocabulary.strip_accents,
        handle_chinese_chars=vocabulary.split_cjk,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def encode_with_reference(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def build_vocabulary(
    characters: str, *words: str, lowercase: bool, strip_accents: bool
) -> WordPieceVocabulary:
    """A vocabulary of single characters, at the start of words and within them, and some longer pieces."""
    pieces = [*SPECIAL, *words, *characters, *(f"##{character}" for character in characters)]
    return WordPieceVocabulary(tuple(dict.fromkeys(pieces)), lowercase=lowercase, strip_accents=strip_accents)


def describe_differences(texts, ours, theirs) -> list[tuple[str, list[int], list[int]]]:
    """The first few texts whose ids differ."""
    pairs = zip(texts, ours, theirs, strict=True)
    return [(ascii(text), a, b) for text, a, b in pairs if a != b][:5]


def list_ops(folder) -> set[str]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


def removed_by(vocabulary: WordPieceVocabulary, character: str) -> bool:
    """Whether a character leaves nothing of itself and is no white space."""
    kind = load_character_table(vocabulary.lowercase, vocabulary.strip_accents).kinds[ord(character)]
    only_marks = vocabulary.strip_accents and character == "\u0f93"
    return (kind in (Kind.DROP, Kind.BLOCKER) or only_marks) and not character.isspace()


def assert_offsets_of_tokenizers(vocabulary: WordPieceVocabulary, encoder, texts: list[str]) -> None:
    """Ids and first characters are those of `tokenizers`; ends too, or further on over what is removed."""
    reference = build_reference(vocabulary).encode_batch(texts, add_special_tokens=False)
    for text, units, expected in zip(texts, encoder.encode(texts), reference, strict=True):
        assert units.token_ids.tolist() == expected.ids, ascii(text)
        spans: dict[int, tuple[int, int]] = {}
        for word, (start, end) in zip(expected.word_ids, expected.offsets, strict=True):
            spans[word] = (spans.get(word, (start, end))[0], end)
        assert units.start.tolist() == [start for start, _ in spans.values()], ascii(text)
        for (_, short), end in zip(spans.values(), units.end.tolist(), strict=True):
            assert short <= end, ascii(text)
            assert all(removed_by(vocabulary, character) for character in text[short:end]), ascii(text)


def real_lines(name: str) -> list[str]:
    """Every line of one of the real data sets; skips where they are not at hand."""
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f"{folder} is not at hand")
    return list(_read_lines(folder, name))


def _read_lines(folder: Path, name: str) -> Iterator[str]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sentence: list[str] = []
        for line in path.read_text(encoding="utf-8").split("\n"):
            if name == "sst2":
                yield line.split("\t")[0]
            elif name == "cluener":
                yield json.loads(line)["text"] if line.strip() else ""
            elif name == "wnut17":
                if line.strip():
                    sentence.append(line.split("\t")[0])
                    yield line
                else:
                    yield " ".join(sentence)
                    sentence = []
            else:
                yield line


def real_vocabulary(name: str, *, lowercase: bool) -> WordPieceVocabulary:
    """One of the real vocabularies; skips where they are not at hand."""
    from kerasft.text.tokenizers.vocabulary import load_vocabulary

    path = DATA / "vocab" / name
    if not path.exists():
        pytest.skip(f"{path} is not at hand")
    return load_vocabulary(path, lowercase=lowercase)
