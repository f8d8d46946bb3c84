"""Writes a unigram tokenizer as a SentencePiece model file, which SentencePiece, keras-hub and kerasft read."""

from __future__ import annotations

import struct
from pathlib import Path

from kerasft.files import whole_file
from kerasft.text.tokenizers.unigram_vocabulary import UnigramVocabulary

_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3
_UNIGRAM = 1
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
"""Fields of a model."""
_FAIRSEQ_SPECIALS = 4


def write_fairseq_model(vocabulary: UnigramVocabulary, path: Path) -> None:
    """Writes a vocabulary that is numbered as XLM-R's: <s>, <pad>, </s>, <unk>, the pieces, <mask>.

    The file's pieces are <unk>, <s>, </s>, then the vocabulary's; scores are rounded to 32 bits.

    Args:
        vocabulary: the tokenizer's.
        path: where to.
    """
    rows = [("<unk>", 0.0, _UNKNOWN), ("<s>", 0.0, _CONTROL), ("</s>", 0.0, _CONTROL)]
    last = vocabulary.size - 1
    rows += [
        (
            vocabulary.pieces[place],
            vocabulary.scores[place],
            _CONTROL if place in vocabulary.special else _NORMAL,
        )
        for place in range(_FAIRSEQ_SPECIALS, last)
    ]
    content = b"".join(_write_bytes(_PIECES, _describe_piece(*row)) for row in rows)
    trainer = _write_number(3, _UNIGRAM) + _write_number(4, len(rows))
    # unk, bos and eos stand first; there is no padding: -1
    trainer += _write_number(40, 0) + _write_number(41, 1) + _write_number(42, 2) + _write_number(43, -1)
    content += _write_bytes(_TRAINER, trainer)
    normalizer = _write_bytes(1, b"user_defined") + _write_bytes(2, vocabulary.charsmap)
    normalizer += _write_number(3, vocabulary.adds_space) + _write_number(4, vocabulary.strips_spaces)
    normalizer += _write_number(5, 1)
    with whole_file(path) as temporary:
        temporary.write_bytes(content + _write_bytes(_NORMALIZER, normalizer))


def is_fairseq(vocabulary: UnigramVocabulary) -> bool:
    """Whether a vocabulary is numbered as XLM-R's."""
    firsts = vocabulary.pieces[:_FAIRSEQ_SPECIALS]
    return firsts == ("<s>", "<pad>", "</s>", "<unk>") and vocabulary.pieces[-1] == "<mask>"


def _describe_piece(piece: str, score: float, kind: int) -> bytes:
    message = _write_bytes(1, piece.encode("utf-8")) + _write_key(2, 5) + struct.pack("<f", score)
    return message + (b"" if kind == _NORMAL else _write_number(3, kind))


def _write_bytes(field: int, value: bytes) -> bytes:
    return _write_key(field, 2) + _write_varint(len(value)) + value


def _write_number(field: int, value: int) -> bytes:
    return _write_key(field, 0) + _write_varint(value)


def _write_key(field: int, wire_type: int) -> bytes:
    return _write_varint(field << 3 | wire_type)


def _write_varint(value: int) -> bytes:
    """A whole number in groups of 7 bits, the lowest first; negative ones as 64 bits."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
