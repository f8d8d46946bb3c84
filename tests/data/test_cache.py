"""The cache of encoded examples: what goes in comes out, whole, and only where nothing changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerasft.data.cache import INDEX_FILE, ArrayCache, build_cache
from kerasft.errors import DataError

ROWS = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9), min_size=1, max_size=30)


def ragged(rows) -> list[np.ndarray]:
    return [np.array(row, np.int32) for row in rows]


def chunk(rows, start: int = 0) -> dict:
    return {"token_ids": ragged(rows), "label": np.arange(start, start + len(rows), dtype=np.int32)}


@given(ROWS, st.integers(1, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_went_in(tmp_path_factory, rows, size) -> None:
    folder = tmp_path_factory.mktemp("cache") / "train"
    starts = range(0, len(rows), size)
    cache = build_cache(folder, "f", [chunk(rows[start : start + size], start) for start in starts])
    assert len(cache) == len(rows)
    lengths = [len(row) for row in rows]
    np.testing.assert_array_equal(cache.lengths("token_ids"), lengths)
    np.testing.assert_array_equal(cache.column("label"), np.arange(len(rows)))
    order = np.random.default_rng(0).permutation(len(rows))
    padded = cache.padded("token_ids", order, max(lengths) + 1, padding=-7)
    assert padded.dtype == np.int32
    for line, index in zip(padded, order, strict=True):
        assert line.tolist() == rows[index] + [-7] * (max(lengths) + 1 - lengths[index])


def test_how_rows_were_cut_into_lots_does_not_matter(tmp_path: Path) -> None:
    rows = [[1, 2], [], [3], [4, 5, 6], []]
    build_cache(tmp_path / "one", "f", [chunk(rows)])
    build_cache(tmp_path / "many", "f", [chunk([row], index) for index, row in enumerate(rows)])
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["cache.json", "hashes.json", "label.values", "token_ids.offsets", "token_ids.values"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_rows_of_length_zero_only(tmp_path: Path) -> None:
    cache = build_cache(tmp_path / "c", "f", [chunk([[]]), chunk([[], []], 1)])
    np.testing.assert_array_equal(cache.lengths("token_ids"), [0, 0, 0])
    np.testing.assert_array_equal(cache.padded("token_ids", np.array([2, 0]), 3), np.zeros((2, 3)))


def test_fixed_columns_keep_shape_and_dtype(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float16)
    cache = build_cache(tmp_path / "c", "f", [{"x": values[:4]}, {"x": values[4:]}])
    assert cache.column("x").dtype == np.float16
    np.testing.assert_array_equal(cache.column("x"), values)


def test_values_are_mapped_not_read(tmp_path: Path) -> None:
    cache = build_cache(tmp_path / "c", "f", [chunk([[1, 2], [3]])])
    assert isinstance(cache.column("label"), np.memmap)
    assert isinstance(cache._values["token_ids"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.column("label")[0] = 9


def test_an_unchanged_fingerprint_reads_no_example(tmp_path: Path) -> None:
    build_cache(tmp_path / "c", "f", [chunk([[1]])])

    def never():
        raise AssertionError("read again")
        yield

    assert build_cache(tmp_path / "c", "f", never()).lengths("token_ids").tolist() == [1]


def test_another_fingerprint_makes_it_anew(tmp_path: Path) -> None:
    old = build_cache(tmp_path / "c", "f", [chunk([[1, 2, 3]])])
    new = build_cache(tmp_path / "c", "g", [chunk([[9], [8]])])
    assert (old.fingerprint, new.fingerprint) == ("f", "g")
    assert ArrayCache(tmp_path / "c").padded("token_ids", np.arange(2), 1).tolist() == [[9], [8]]
    # whoever still reads the old one is not disturbed
    assert old.padded("token_ids", np.arange(1), 3).tolist() == [[1, 2, 3]]


def test_an_error_midway_leaves_what_stood_there(tmp_path: Path) -> None:
    def breaks():
        yield chunk([[5]])
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        build_cache(tmp_path / "c", "f", breaks())
    assert list(tmp_path.iterdir()) == []
    build_cache(tmp_path / "c", "f", [chunk([[1]])])
    with pytest.raises(RuntimeError, match="disk gone"):
        build_cache(tmp_path / "c", "g", breaks())
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert ArrayCache(tmp_path / "c").fingerprint == "f"


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no example"):
        build_cache(tmp_path / "c", "f", [])
    assert not (tmp_path / "c" / INDEX_FILE).exists()


@pytest.mark.parametrize(
    "second",
    [
        {"token_ids": ragged([[1]])},
        {"token_ids": ragged([[1]]), "label": np.zeros(2, np.int32)},
        {"token_ids": ragged([[1]]), "label": np.zeros(1, np.int64)},
        {"token_ids": ragged([[1]]), "label": np.zeros((1, 2), np.int32)},
        {"token_ids": [np.zeros(1, np.int64)], "label": np.zeros(1, np.int32)},
        {"token_ids": np.zeros(1, np.int32), "label": np.zeros(1, np.int32)},
        {"token_ids": ragged([[1]]), "label": np.zeros(1, np.int32), "weight": np.zeros(1)},
    ],
    ids=["one less", "unequal", "dtype", "shape", "ragged dtype", "kind", "one more"],
)
def test_lots_that_do_not_fit_together_are_refused(tmp_path: Path, second) -> None:
    with pytest.raises(ValueError, match="column"):
        build_cache(tmp_path / "c", "f", [chunk([[1]]), second])
    assert not (tmp_path / "c").exists()


def test_a_row_wider_than_asked_for_is_refused(tmp_path: Path) -> None:
    cache = build_cache(tmp_path / "c", "f", [chunk([[1, 2, 3]])])
    with pytest.raises(ValueError, match="broadcast"):
        cache.padded("token_ids", np.array([0]), 2)
