"""PyTorch's files: numbers are read in both forms; what is hostile, cut or too large is refused, and nothing is run."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_makers import (
    BFLOAT16,
    SYSTEM,
    WRITERS,
    Call,
    Global,
    Stored,
    Tensor,
    make_tensors,
    pickle_object,
    write_archive,
    write_older,
)

from kerasft.models.weights.torch_files import is_torch_file, open_torch_file
from kerasft.models.weights.torch_pickle import read_pickle

FORMS = sorted(WRITERS)
REFUSED = (ValueError, OSError, EOFError, zipfile.BadZipFile)
"""What a caller has to be ready for."""


def read(path: Path) -> dict[str, np.ndarray]:
    assert is_torch_file(path)
    file = open_torch_file(path)
    return dict(file.read(file.tensors))


def read_if_it_is_one(path: Path) -> dict[str, np.ndarray]:
    if not is_torch_file(path):
        raise ValueError("it is none of PyTorch's")
    return read(path)


def make_arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    numbers = generator.normal(0, 10, (2, 3, 2))
    names = ("float64", "float32", "float16", BFLOAT16, "int64", "int32", "int16", "int8", "uint8", "bool")
    arrays = {str(np.dtype(name)): np.abs(numbers).astype(name) for name in names}
    return arrays | {"scalar": np.array(7, np.int64), "none": np.zeros((0, 3), np.float32)}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_of_every_type_are_read(form: str, tmp_path: Path) -> None:
    arrays = make_arrays()
    found = read(WRITERS[form](tmp_path / "net.pth", make_tensors(arrays)))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_tensors_that_share_numbers_are_read_each_in_its_own_order(form: str, tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float32)
    shared = Stored(numbers, "0")
    content = {
        "turned": Tensor(shared, (4, 3), (1, 4)),
        "part": Tensor(shared, (2, 2), (3, 1), offset=4),
        "parameter": Tensor(shared, (12,), is_parameter=True),
    }
    found = read(WRITERS[form](tmp_path / "net.pth", content))
    np.testing.assert_array_equal(found["turned"], numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [[4, 5], [7, 8]])
    np.testing.assert_array_equal(found["parameter"], numbers)


def test_a_state_dict_is_found_among_what_a_training_saved(tmp_path: Path) -> None:
    tensors = make_tensors({"module.a": np.ones(2, np.float32), "module.b": np.zeros(1, np.float32)})
    path = write_archive(
        tmp_path / "net.pt", {"epoch": 3, "loss": 0.5, "args": [None, True], "model": tensors}
    )
    assert set(read(path)) == {"a", "b"}


FLOATS = np.arange(6, dtype=np.float32)
HOSTILE: dict[str, tuple[Any, str]] = {
    "a command": (Call(os.system, "touch ran"), r"names (posix|nt)\.system"),
    "a command among tensors": (
        {"a": Tensor(Stored(FLOATS, "0"), (6,)), "b": Call(os.system, "touch ran")},
        r"names (posix|nt)\.system",
    ),
    "code": (Call(eval, "open('ran', 'w')"), r"names builtins\.eval|names __builtin__\.eval"),
    "an import": (Call(__import__, "ran"), "__import__"),
    "a class's method": ({"a": Call(getattr, Global("torch", "FloatStorage"), "__class__")}, "getattr"),
    "a call of a storage's class": ({"a": Call(Global("torch", "FloatStorage"), 1 << 40)}, "calls what is no"),
    "a function of PyTorch": ({"a": Call(Global("torch._utils", "_rebuild_qtensor"))}, "_rebuild_qtensor"),
    "torch.load again": ({"a": Call(Global("torch", "load"), "ran")}, r"names torch\.load"),
    "a list of pairs as a dict": (Call(Global("collections", "OrderedDict"), [["a", 1]]), "OrderedDict in a way"),
    "an object": ({"a": argparse.Namespace(b=1)}, r"names argparse\.Namespace|names copy_reg|names copyreg"),
    "an array of NumPy": ({"a": np.zeros(2)}, r"names numpy"),
    "a number for a tensor": ({"a": 3}, "its a is not a tensor"),
    "no dict": ([1, 2], "something other than a state dict"),
    "nothing": ({}, "something other than a state dict"),
    "numbers for names": ({3: Tensor(Stored(FLOATS, "0"), (6,))}, "its 3 is not a tensor"),
    "a storage alone": ({"a": Stored(FLOATS, "0")}, "its a is not a tensor"),
    "more than its storage": ({"a": Tensor(Stored(FLOATS, "0"), (7,))}, "claims 7 numbers"),
    "a huge shape": ({"a": Tensor(Stored(FLOATS, "0"), (1 << 40, 1 << 40))}, "and its storage 0 has 6"),
    "one number many times": ({"a": Tensor(Stored(FLOATS, "0"), (1 << 50,), (0,))}, "and its storage 0 has 6"),
    "beyond its end": ({"a": Tensor(Stored(FLOATS, "0"), (3,), (1,), offset=4)}, "claims 3 numbers"),
    "far strides": ({"a": Tensor(Stored(FLOATS, "0"), (2,), (1 << 60,))}, "claims 2 numbers"),
    "before its beginning": ({"a": Tensor(Stored(FLOATS, "0"), (2,), (-1,), offset=5)}, "impossible shape"),
    "a negative size": ({"a": Tensor(Stored(FLOATS, "0"), (-1, -6))}, "impossible shape"),
    "a shape of texts": ({"a": Tensor(Stored(FLOATS, "0"), ("6",), (1,))}, "impossible shape"),
    "forty axes": ({"a": Tensor(Stored(FLOATS, "0"), (1,) * 40)}, "impossible shape"),
    "a storage that claims more": ({"a": Tensor(Stored(FLOATS, "0", claims=1 << 40), (6,))}, "claims"),
    "a storage of wider numbers": ({"a": Tensor(Stored(FLOATS, "0", kind="Double"), (6,))}, "claims|ends within"),
    "a negative storage": ({"a": Tensor(Stored(FLOATS, "0", claims=-6), (0,))}, "not a storage"),
    "an unknown storage": ({"a": Tensor(Stored(FLOATS, "0", kind="Quantized"), (6,))}, "names torch.Quantized"),
    "two sizes of one storage": (
        {"a": Tensor(Stored(FLOATS, "0"), (6,)), "b": Tensor(Stored(FLOATS, "0", claims=5), (5,))},
        "disagree about the storage 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_state_dict_holds_is_refused_and_nothing_is_run(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    path = WRITERS[form](tmp_path / "net.pth", content)
    with pytest.raises(ValueError, match=message):
        read(path)
    assert [each.name for each in tmp_path.iterdir()] == ["net.pth"]


def test_the_hostile_pickles_do_what_they_say_where_a_pickle_is_run(tmp_path: Path, monkeypatch) -> None:
    """Otherwise the test above would show nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle_object(HOSTILE["a command"][0]))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_refused_in_every_protocol(protocol: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"a": Call(os.system, "touch ran")}, protocol)
    for form in FORMS:
        with pytest.raises(ValueError, match=r"its pickle (names|has the instruction)"):
            read(WRITERS[form](tmp_path / "net.pth", {}, data=data))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"(S'touch ran'\nios\nsystem\n.", id="INST"),
        pytest.param(b"(cos\nsystem\nS'touch ran'\no.", id="OBJ"),
        pytest.param(b"\x80\x02\x82\x01.", id="EXT1"),
        pytest.param(b"\x80\x02cos\nsystem\n)\x81.", id="NEWOBJ"),
        pytest.param(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09touch ran\x85R.", id="STACK_GLOBAL"),
        pytest.param(b"\x80\x02X\x01\x00\x00\x00a)R.", id="a text is called"),
        pytest.param(b"\x80\x02}K\x01b.", id="a number is set as state"),
        pytest.param(b"\x80\x02K\x01K\x02K\x03s.", id="an item of a number"),
        pytest.param(b"\x80\x02}]K\x03s.", id="a list as a key"),
        pytest.param(b"\x80\x02K\x01K\x02a.", id="a number is appended to"),
        pytest.param(b"\x80\x02h\x09.", id="nothing was put aside there"),
        pytest.param(b"\x80\x020.", id="nothing to take away"),
        pytest.param(b"\x80\x02u.", id="no mark"),
        pytest.param(b"\x80\x02.", id="nothing is left"),
        pytest.param(b"\x80\x02X\xff\xff\xff\x7fa.", id="a text of 2 GB"),
        pytest.param(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", id="a text of 8 EB"),
        pytest.param(b"\x80\x02\x8b\xff\xff\xff\x7f1.", id="a number of 2 GB"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_programs_that_no_pickler_writes_are_refused(program: bytes, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"pickle|not enough data|expected|unicodestring|long4|exhausted"):
        read_pickle(io.BytesIO(program))
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_would_be_endless_to_print_is_refused_at_once() -> None:
    doubled = b"\x80\x04)" + b"\x85q\x00h\x00\x86" * 2000  # each holds the one before twice
    with pytest.raises(ValueError, match="not a text"):
        read_pickle(io.BytesIO(doubled + b"\x8c\x01a\x93."))
    with pytest.raises(ValueError, match="not a storage"):
        read_pickle(io.BytesIO(doubled + b"Q."))


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_anywhere_is_refused(form: str, tmp_path: Path) -> None:
    whole = WRITERS[form](tmp_path / "net.pth", make_tensors(make_arrays())).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(REFUSED):
            read_if_it_is_one(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_byte_is_refused_or_changes_a_number_and_does_nothing_else(
    form: str, tmp_path: Path
) -> None:
    whole = WRITERS[form](tmp_path / "net.pth", make_tensors(make_arrays())).read_bytes()
    path, generator, refused = tmp_path / "changed.pth", np.random.default_rng(1), 0
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= int(generator.integers(1, 256))
        path.write_bytes(changed)
        try:
            found = read_if_it_is_one(path)
            assert sum(array.nbytes for array in found.values()) <= len(whole)
        except (
            *REFUSED,
            RuntimeError,
            NotImplementedError,
            KeyError,
        ):  # zipfile's, of features it does not have
            refused += 1
    assert refused > len(whole) / 3 / 5


def test_an_archive_whose_members_lie_on_top_of_each_other_is_refused(tmp_path: Path) -> None:
    numbers = np.zeros(1000, np.float32)
    content = {name: Tensor(Stored(numbers, name), (1000,)) for name in "abcdefgh"}
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_object(content))
        archive.writestr("archive/data/a", numbers.tobytes())
        for name in "bcdefgh":  # entries of the directory alone
            first = archive.getinfo("archive/data/a")
            info = zipfile.ZipInfo(f"archive/data/{name}")
            for attribute in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(info, attribute, getattr(first, attribute))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive._didModify = True
    with pytest.raises(ValueError, match="its tensors claim 32,000 bytes"):
        read(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    content = make_tensors({"a": np.zeros(1 << 20, np.float32)})
    with pytest.raises(ValueError, match=r"data\.pkl is compressed"):
        read(write_archive(tmp_path / "net.pth", content, compression=zipfile.ZIP_DEFLATED))


def test_other_byte_orders_and_other_pickles_are_refused(tmp_path: Path) -> None:
    content = make_tensors({"a": FLOATS})
    with pytest.raises(ValueError, match="little-endian"):
        read(write_older(tmp_path / "net.pth", content, system={**SYSTEM, "little_endian": False}))
    with zipfile.ZipFile(tmp_path / "big.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle_object(content))
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(ValueError, match="little-endian"):
        read(tmp_path / "big.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": [1.0]}))
    with pytest.raises(ValueError, match="not one that PyTorch writes"):
        read(tmp_path / "plain.pkl")
    with zipfile.ZipFile(tmp_path / "without.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle_object(content))
    with pytest.raises(ValueError, match="it has no archive/data/0"):
        read(tmp_path / "without.pth")


def test_names_and_shapes_are_known_before_numbers_are_read(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "net.pth", make_tensors(make_arrays()))
    file = open_torch_file(path)
    assert file.tensors["float32"].shape == (2, 3, 2)
    assert file.tensors["float32"].storage.dtype == "float32"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        next(iter(file.read(["float32"])))
