"""Masks for masked language models: which tokens are to be predicted, and what stands in their place.

    n = max(1, ⌊rate · t + u⌋) of a row's t tokens are masked, special ones aside, with u uniform in [0, 1). Of these,
    each by itself, 80 % are replaced by the mask token, 10 % by a random token, and 10 % stay.

Source: Devlin et al. 2019, arXiv:1810.04805.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

NONE = -1
"""The target of a place that stands for nothing: rows have different numbers of masked tokens."""


@dataclass(frozen=True)
class Replacement:
    """What stands in the place of masked tokens.

    Attributes:
        mask: share that the mask token replaces.
        random: share that a random token replaces; the rest stays.
    """

    mask: float = 0.8
    random: float = 0.1


class Masked(NamedTuple):
    """A row with its masks.

    Attributes:
        token_ids: int32 (tokens,), what the model is given.
        positions: int32 (masked,), ascending.
        targets: int32 (masked,), what stood there.
    """

    token_ids: np.ndarray
    positions: np.ndarray
    targets: np.ndarray


class Masker:
    """Draws masks; what is drawn depends on the generator alone that it is given.

    Args:
        vocabulary_size: of the tokenizer.
        special_ids: of special tokens, which are neither masked nor put in a token's place.
        mask_id: the mask token.
        continuations: bool (vocabulary,), the tokens that go on a word; whole words are then masked. None: tokens.
    """

    def __init__(
        self,
        vocabulary_size: int,
        special_ids: tuple[int, ...],
        mask_id: int,
        continuations: np.ndarray | None = None,
    ):
        self._is_special = np.zeros(vocabulary_size, bool)
        self._is_special[[number for number in special_ids if number >= 0]] = True
        self._plain = np.flatnonzero(~self._is_special).astype(np.int32)
        self._mask_id = mask_id
        self._continuations = continuations

    def mask(
        self,
        token_ids: np.ndarray,
        rate: float,
        generator: np.random.Generator,
        replacement: Replacement,
        starts: np.ndarray | None = None,
    ) -> Masked:
        """Masks a row.

        Args:
            token_ids: int32 (tokens,).
            rate: share of the tokens that are masked, in (0, 1].
            generator: what is drawn from.
            replacement: what takes their place.
            starts: int (texts,), where texts begin that stand in the row: no word goes on there. None: there is one.

        Returns:
            At least one masked token, unless all are special ones; with whole words at most as many as without, but
            for a first word that is longer.
        """
        candidates = np.flatnonzero(~self._is_special[token_ids])
        count = min(len(candidates), max(1, int(rate * len(candidates) + generator.random())))
        if self._continuations is None:
            positions = np.sort(generator.permutation(candidates)[:count])
        else:
            positions = self._choose_words(token_ids, candidates, count, generator, starts)
        targets = token_ids[positions]
        shares = generator.random(len(positions))
        others = self._plain[generator.integers(len(self._plain), size=len(positions))]
        given = np.where(shares < replacement.mask + replacement.random, others, targets)
        given = np.where(shares < replacement.mask, self._mask_id, given)
        masked = token_ids.copy()
        masked[positions] = given
        return Masked(masked, positions.astype(np.int32), targets.astype(np.int32))

    def _choose_words(
        self,
        token_ids: np.ndarray,
        candidates: np.ndarray,
        count: int,
        generator: np.random.Generator,
        starts: np.ndarray | None,
    ) -> np.ndarray:
        """Words in random order, as many as fit into `count` tokens."""
        assert self._continuations is not None
        if not count:
            return candidates
        # a word goes on at the place after its last one alone: special tokens part words
        goes_on = self._continuations[token_ids[candidates]] & (np.diff(candidates, prepend=-2) == 1)
        if starts is not None:
            goes_on &= ~np.isin(candidates, starts)
        words = np.split(candidates, np.flatnonzero(~goes_on)[1:])
        chosen: list[np.ndarray] = []
        left = count
        for place in generator.permutation(len(words)).tolist():
            if len(words[place]) <= left or not chosen:
                chosen.append(words[place])
                left -= len(words[place])
            if left <= 0:
                break
        return np.sort(np.concatenate(chosen))


def seed_by_content(token_ids: np.ndarray) -> np.random.Generator:
    """A generator that follows from the tokens alone: a text is measured at the same masks wherever it stands."""
    import hashlib

    digest = hashlib.blake2b(np.ascontiguousarray(token_ids, "<i4").tobytes(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def seed_by_place(seed: int, epoch: int, row: int) -> np.random.Generator:
    """A generator for a row in an epoch of a training: another one in each."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, row, 1, 0]))
