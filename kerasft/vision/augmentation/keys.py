"""Keys of random numbers: one for each example of each epoch, and for each step."""

from __future__ import annotations

import numpy as np

_EXAMPLES, _STEPS = 1, 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def compute_keys(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """The keys of examples: what is drawn with them depends on nothing else.

    Args:
        seed: the run's.
        epoch: counted from 0.
        indices: int (batch,), the examples' places in their split.

    Returns:
        int32 (batch, 2), as `tf.random.stateless_*` takes them.
    """
    return _hash(_EXAMPLES, seed, epoch, np.asarray(indices))


def compute_step_key(seed: int, epoch: int, step: int) -> np.ndarray:
    """The key of what is done to a batch as a whole.

    Args:
        seed: the run's.
        epoch: counted from 0.
        step: counted from 0 in each epoch.

    Returns:
        int32 (2,).
    """
    return _hash(_STEPS, seed, epoch, np.array([step]))[0]


def _hash(purpose: int, seed: int, epoch: int, numbers: np.ndarray) -> np.ndarray:
    """SplitMix64 over one number after the other.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    state = np.zeros(len(numbers), np.uint64)
    for value in (purpose, seed, epoch, numbers):
        words = (
            value.astype(np.int64).astype(np.uint64)
            if isinstance(value, np.ndarray)
            else np.uint64(value % 2**64)
        )
        state = (state ^ words) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state.astype("<u8").view("<i4").astype(np.int32).reshape(-1, 2)
