"""Presets that lie: weights, headers, sizes and what a config would have run; all are refused before they cost much."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_bert
from lying_makers import list_tree, make_lambda, make_sparse, run_kerasft
from safetensors.numpy import load_file, save_file
from tiny_bert import PIECES

from kerasft.errors import PresetError
from kerasft.models.fetching import resolve_preset
from kerasft.models.text.presets import load_text_backbone
from kerasft.text.tokenizers.vocabulary import load_vocabulary

LAYER = "encoder.layer.0"


def write_hugging_face_preset(folder: Path) -> Path:
    """A BERT of two layers in Hugging Face's form, under the prefix `bert.` as its trainers write it."""
    folder.mkdir()
    hidden, wide = 8, 16
    config = {
        "model_type": "bert",
        "vocab_size": len(PIECES),
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": hidden,
        "intermediate_size": wide,
        "max_position_embeddings": 16,
    }
    from kerasft.models.text.bert import FAMILY, BertSizes

    sizes = BertSizes(len(PIECES), 2, 2, hidden, wide, 16)
    generator = np.random.default_rng(0)
    tensors = {
        f"bert.{each.name}": generator.standard_normal(each.shape).astype(np.float32)
        for each in FAMILY.list_stored(sizes, {}, needs_pooler=True).values()
    }
    tensors["cls.predictions.bias"] = np.zeros(len(PIECES), np.float32)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def hub(tmp_path: Path, tiny_preset: Path) -> Path:
    return Path(shutil.copytree(tiny_preset, tmp_path / "hub"))


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    return write_hugging_face_preset(tmp_path / "hugging_face")


def refuse(folder: Path, *, random_weights: bool = False) -> PresetError:
    """The error of the folder, as `kerasft run` meets it: found, its vocabulary read, its weights loaded."""

    def load() -> None:
        found = resolve_preset(str(folder))
        load_vocabulary(found)
        load_text_backbone(found, random_weights=random_weights)

    with pytest.raises(PresetError) as caught:
        load()
    assert caught.value.exit_code == 4
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(folder))
    assert caught.value.fix
    return caught.value


def change_tensors(folder: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_both_forms_are_read_as_they_are(hub: Path, hugging_face: Path) -> None:
    assert load_text_backbone(resolve_preset(str(hub))).num_layers == 2
    backbone = load_text_backbone(resolve_preset(str(hugging_face)))
    stored = load_file(hugging_face / "model.safetensors")
    np.testing.assert_array_equal(
        backbone.get_layer("pooled_dense").kernel, stored["bert.pooler.dense.weight"].T
    )


# Weights


def test_each_tensor_that_is_missing_is_named(hugging_face: Path) -> None:
    names = [name for name in load_file(hugging_face / "model.safetensors") if name.startswith("bert.")]
    whole = (hugging_face / "model.safetensors").read_bytes()
    for name in names:
        (hugging_face / "model.safetensors").write_bytes(whole)
        change_tensors(hugging_face, lambda tensors, name=name: tensors.pop(name))
        told = str(refuse(hugging_face))
        assert f"The weights cannot be loaded: {name.removeprefix('bert.')} is missing" in told


def test_each_layer_that_is_missing_in_keras_hubs_form_is_refused(hub: Path) -> None:
    whole = (hub / "model.weights.h5").read_bytes()
    groups: list[str] = []
    with h5py.File(hub / "model.weights.h5") as file:
        file.visititems(lambda name, item: groups.append(name) if isinstance(item, h5py.Dataset) else None)
    weights = [name for name in groups if "seed_generator" not in name]
    assert len(weights) == len(load_text_backbone(hub).weights)
    # the second layer is another of the first's kind
    for name in [name for name in weights if "transformer_encoder_1/" not in name]:
        (hub / "model.weights.h5").write_bytes(whole)
        with h5py.File(hub / "model.weights.h5", "r+") as file:
            del file[name]
        assert "The preset cannot be loaded" in str(refuse(hub)), name


@pytest.mark.parametrize("shape", [(4, 16), (64,), (8, 8, 1), (8, 9), (1, 1)])
def test_a_tensor_of_another_shape_is_named_with_both(hugging_face: Path, shape: tuple[int, ...]) -> None:
    name = f"bert.{LAYER}.attention.self.query.weight"
    change_tensors(hugging_face, lambda tensors: tensors.update({name: np.zeros(shape, np.float32)}))
    assert f"{name} is F32 {list(shape)}, not floats [8, 8]" in str(refuse(hugging_face))


def test_whole_numbers_are_no_weights(hugging_face: Path) -> None:
    name = f"bert.{LAYER}.output.dense.bias"
    change_tensors(hugging_face, lambda tensors: tensors.update({name: np.ones(8, np.int64)}))
    assert f"{name} is I64 [8], not floats [8]" in str(refuse(hugging_face))


def test_a_tensor_that_might_be_either_of_two_is_refused(hugging_face: Path) -> None:
    name = "pooler.dense.bias"
    change_tensors(hugging_face, lambda tensors: tensors.update({f"other.{name}": np.ones(8, np.float32)}))
    assert f"{name} is there more than once" in str(refuse(hugging_face))


def test_weights_of_another_shape_in_keras_hubs_form_are_refused(hub: Path) -> None:
    with h5py.File(hub / "model.weights.h5", "r+") as file:
        group = file["layers/dense/vars"]
        value = group["0"][:]
        del group["0"]
        group["0"] = value[:-1]
    assert "The preset cannot be loaded" in str(refuse(hub))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_named(hub: Path, hugging_face: Path, bad: float) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[f"bert.{LAYER}.output.dense.weight"][3, 5] = bad

    change_tensors(hugging_face, spoil)
    assert "holds numbers that are not finite" in str(refuse(hugging_face))
    with h5py.File(hub / "model.weights.h5", "r+") as file:
        file["layers/dense/vars/1"][3] = bad
    assert "The weight pooled_dense/bias holds numbers that are not finite" in str(refuse(hub))


def test_pickled_weights_are_not_opened(hugging_face: Path, tmp_path: Path) -> None:
    import pickle

    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    (hugging_face / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"):
        (hugging_face / name).write_bytes(pickle.dumps(Payload()))
    told = str(refuse(hugging_face))
    assert "lacks weights" in told
    assert "pytorch_model.bin" in told
    assert "never opens it" in told
    assert not (tmp_path / "executed").exists()


# Safetensors headers


def write_header(path: Path, header: Any, data_bytes: int = 64, length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(data_bytes))


def tensor(start: int, stop: int, shape: list[int]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, stop]}


HEADERS: dict[str, tuple[Any, int, int | None, str]] = {
    "longer than the file": ({"a": tensor(0, 64, [16])}, 64, 10_000, "the end of model.safetensors"),
    "of 2**63": ({"a": tensor(0, 64, [16])}, 64, 2**63, "the end of model.safetensors"),
    "data beyond the file": ({"a": tensor(0, 6400, [1600])}, 64, None, "the end of model.safetensors"),
    "overlapping": ({"a": tensor(0, 40, [10]), "b": tensor(24, 64, [10])}, 64, None, "a sound header"),
    "with a gap": ({"a": tensor(0, 16, [4]), "b": tensor(32, 64, [8])}, 64, None, "a sound header"),
    "backwards": ({"a": tensor(64, 0, [16])}, 64, None, "a sound header"),
    "below zero": ({"a": tensor(-64, 64, [32])}, 64, None, "a sound header"),
    "a shape that does not fit": ({"a": tensor(0, 64, [1000])}, 64, None, "a sound header"),
    "a shape that overflows": ({"a": tensor(0, 64, [2**62, 4])}, 64, None, "a sound header"),
    "an unknown type": ({"a": tensor(0, 64, [16]) | {"dtype": "PICKLE"}}, 64, None, "a sound header"),
    "no JSON": (b"\x80\x04 not json at all", 64, None, "a sound header"),
    "a list": (b"[1, 2]", 64, None, "a sound header"),
    "deep": (b"[" * 100_000, 64, None, "a sound header"),
}


@pytest.mark.parametrize(("header", "data_bytes", "length", "words"), HEADERS.values(), ids=list(HEADERS))
def test_a_header_that_lies_is_told(
    hugging_face: Path, header: Any, data_bytes: int, length: int | None, words: str
) -> None:
    write_header(hugging_face / "model.safetensors", header, data_bytes, length)
    told = str(refuse(hugging_face))
    assert "lacks " in told
    assert words in told


def test_a_header_of_a_gigabyte_is_not_read(hugging_face: Path) -> None:
    make_sparse(hugging_face / "model.safetensors", 3 << 30, struct.pack("<Q", 1 << 30) + b'{"a": ')
    assert "its header has 1,073,741,824 bytes, and may have 8,388,608" in str(refuse(hugging_face))


def test_an_index_that_leads_out_or_nowhere_is_refused(hugging_face: Path) -> None:
    index = hugging_face / "model.safetensors.index.json"
    for file, words in {
        "../../secret.safetensors": "lacks ../../secret.safetensors",
        "/etc/passwd": "lacks /etc/passwd",
        "model.safetensors": "embeddings.position_embeddings.weight is missing",
    }.items():
        index.write_text(json.dumps({"weight_map": {"bert.embeddings.word_embeddings.weight": file}}))
        assert words in str(refuse(hugging_face))
    for content in ('{"weight_map": []}', "{}", '{"weight_map": {"a": ["b"]}}', "[]", "{"):
        index.write_text(content)
        refuse(hugging_face)


# HDF5


def test_weights_that_lie_in_another_file_are_not_followed(hub: Path, tmp_path: Path) -> None:
    whole = (hub / "model.weights.h5").read_bytes()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.zeros((32, 32), np.float32)
    (tmp_path / "secret.raw").write_bytes(bytes(4096))

    def link(group: h5py.Group) -> None:
        group["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/0")

    def soft(group: h5py.Group) -> None:
        group["0"] = h5py.SoftLink("/layers/embedding/vars/0")

    def external(group: h5py.Group) -> None:
        group.create_dataset("0", (32, 32), "f4", external=[(str(tmp_path / "secret.raw"), 0, 4096)])

    def virtual(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout((32, 32), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "0", (32, 32))
        group.create_virtual_dataset("0", layout)

    def endless(group: h5py.Group) -> None:
        group.create_dataset("0", (2**30, 2), "f4", chunks=(1024, 2), compression="gzip", fillvalue=1.0)

    for lie in (link, soft, external, virtual, endless):
        (hub / "model.weights.h5").write_bytes(whole)
        with h5py.File(hub / "model.weights.h5", "r+") as file:
            del file["layers/dense/vars/0"]
            lie(file["layers/dense/vars"])
        assert "cannot be loaded" in str(refuse(hub)), lie.__name__


def test_an_index_of_shards_that_lies_is_refused(hub: Path) -> None:
    backbone = load_text_backbone(hub)
    (hub / "model.weights.h5").unlink()
    backbone.save_weights(hub / "model.weights.json", max_shard_size=20e-6)
    assert len(list(hub.glob("model_*.weights.h5"))) > 1
    for a, b in zip(load_text_backbone(hub).weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    index = json.loads((hub / "model.weights.json").read_text())
    for weight_map in (
        dict.fromkeys(index["weight_map"], "../../secret.weights.h5"),
        dict.fromkeys(index["weight_map"], "model_00000.weights.h5"),
        dict(list(index["weight_map"].items())[1:]),
        {key: ["model_00001.weights.h5", 3] for key in index["weight_map"]},
        [],
        None,
    ):
        (hub / "model.weights.json").write_text(json.dumps(index | {"weight_map": weight_map}))
        refuse(hub)


# config.json


SIZES = {
    "huge": 10**9,
    "beyond 64 bits": 10**30,
    "zero": 0,
    "below zero": -8,
    "text": "8",
    "half": 8.5,
    "true": True,
}
HUB_KEYS = [
    "vocabulary_size",
    "num_layers",
    "num_heads",
    "hidden_dim",
    "intermediate_dim",
    "max_sequence_length",
]
HUGGING_FACE_KEYS = [
    "vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
]


@pytest.mark.parametrize("value", SIZES.values(), ids=list(SIZES))
def test_absurd_sizes_are_refused_by_their_name(hub: Path, hugging_face: Path, value: Any) -> None:
    for folder, keys in ((hub, HUB_KEYS), (hugging_face, HUGGING_FACE_KEYS)):
        whole = json.loads((folder / "config.json").read_text())
        for key in keys:
            config = json.loads(json.dumps(whole))
            (config if folder is hugging_face else config["config"])[key] = value
            (folder / "config.json").write_text(json.dumps(config))
            for random_weights in (False, True):
                told = str(refuse(folder, random_weights=random_weights))
                assert f"config.json: {key} is {value!r}; a BERT's is a whole number" in told


def test_sizes_in_reason_that_the_weights_cannot_be_of_are_refused(hub: Path, hugging_face: Path) -> None:
    for folder in (hub, hugging_face):
        config = json.loads((folder / "config.json").read_text())
        inner = config["config"] if folder is hub else config
        inner |= {"hidden_dim": 4096, "hidden_size": 4096} if folder is hugging_face else {"hidden_dim": 4096}
        (folder / "config.json").write_text(json.dumps(config))
        told = str(refuse(folder))
        assert "weights, but the weights file has only" in told


def test_sizes_that_multiply_beyond_any_berts_are_refused_for_random_weights_too(hub: Path) -> None:
    config = json.loads((hub / "config.json").read_text())
    config["config"] |= {"hidden_dim": 60_000, "num_layers": 200, "intermediate_dim": 200_000}
    (hub / "config.json").write_text(json.dumps(config))
    assert "weights; at most 4,000,000,000 are read" in str(refuse(hub, random_weights=True))


def test_heads_that_do_not_divide_are_refused(hub: Path) -> None:
    config = json.loads((hub / "config.json").read_text())
    config["config"]["num_heads"] = 3
    (hub / "config.json").write_text(json.dumps(config))
    assert "hidden_dim is 32, not a multiple of num_heads, 3" in str(refuse(hub))


def make_payload_module(folder: Path, marker: Path) -> dict[str, Any]:
    """An object of a module that lies beside the preset, and creates a file when it is imported."""
    (folder / "lying_payload.py").write_text(f"open({str(marker)!r}, 'w')\nclass Layer: pass\n")
    return {"module": "lying_payload", "class_name": "Layer", "config": {}, "registered_name": "Layer"}


def test_the_lambda_would_run_if_it_were_made(tmp_path: Path) -> None:
    import keras

    layer = keras.saving.deserialize_keras_object(make_lambda(tmp_path / "executed"), safe_mode=False)
    layer(np.zeros((1, 4), np.float32))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", ["lambda", "module"])
@pytest.mark.parametrize("place", ["whole", "dtype", "name", "dropout", "num_layers", "an unknown key"])
def test_nothing_that_a_config_names_is_made_or_run(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    marker = tmp_path / "executed"
    monkeypatch.syspath_prepend(str(tmp_path))
    lie = make_lambda(marker) if kind == "lambda" else make_payload_module(tmp_path, marker)
    config = json.loads((hub / "config.json").read_text())
    if place == "whole":
        config = lie | {"registered_name": "keras_hub>BertBackbone", "class_name": lie["class_name"]}
    else:
        config["config"]["layers" if place == "an unknown key" else place] = lie
    (hub / "config.json").write_text(json.dumps(config))
    for random_weights in (False, True):
        if place in ("dtype", "name"):  # which are not read
            load_text_backbone(resolve_preset(str(hub)), random_weights=random_weights)
        else:
            refuse(hub, random_weights=random_weights)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("keras>Lambda", "The preset is a Lambda"),
        ("keras_hub>GPT2Backbone", "The preset is a Lambda"),
        ("builtins>eval", "The preset is a Lambda"),
        (None, "The preset is a Lambda"),
        ({"a": 1}, "The preset is a Lambda"),
    ],
)
def test_a_class_that_is_no_bert_is_refused_by_its_name(hub: Path, name: Any, words: str) -> None:
    config = json.loads((hub / "config.json").read_text())
    config |= {"registered_name": name, "class_name": "Lambda", "module": "keras.layers"}
    (hub / "config.json").write_text(json.dumps(config))
    assert words in str(refuse(hub))


@pytest.mark.parametrize("model_type", ["albert", "gpt2", "../bert", ["bert"], None, 1])
def test_another_model_type_is_refused_before_it_is_built(hugging_face: Path, model_type: Any) -> None:
    config = json.loads((hugging_face / "config.json").read_text()) | {"model_type": model_type}
    (hugging_face / "config.json").write_text(json.dumps(config))
    assert f"The preset is a {model_type}; text tasks train BERT" in str(refuse(hugging_face))


# The vocabulary and what else lies in the folder


@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer_config.json", "tokenizer.json", "config.json"])
def test_an_endless_file_is_not_read(hugging_face: Path, file: str) -> None:
    make_sparse(hugging_face / file, 2 << 30, b"[PAD]\n")
    refuse(hugging_face)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer_config.json", '{"do_lower_case": "yes"}'),
        ("tokenizer_config.json", '{"unk_token": {}}'),
        ("tokenizer_config.json", '{"max_input_chars_per_word": [1]}'),
        ("tokenizer_config.json", "[" * 100_000),
        ("tokenizer.json", '{"model": []}'),
        ("tokenizer.json", '{"model": {"vocab": {"a": {}}}, "normalizer": {"type": "BertNormalizer"}, '
         '"pre_tokenizer": {"type": "BertPreTokenizer"}}'),
        ("tokenizer.json", '{"model": {"vocab": {}}, "normalizer": 1}'),
        ("vocab.txt", "[PAD]\n[UNK]\n"),
        ("vocab.txt", "\0" * 4096),
    ],
)  # fmt: skip
def test_a_tokenizer_that_lies_is_told(hugging_face: Path, file: str, content: str) -> None:
    (hugging_face / file).write_text(content)
    refuse(hugging_face)


def test_more_pieces_than_embeddings_are_refused(hub: Path) -> None:
    from kerasft.models.text.presets import check_vocabulary
    from kerasft.text.tokenizers.wordpiece import WordPiece

    vocabulary = hub / "assets" / "tokenizer" / "vocabulary.txt"
    vocabulary.write_text(vocabulary.read_text().rstrip("\n") + "\nmore\n")
    with pytest.raises(PresetError, match="pieces, and the model knows") as caught:
        check_vocabulary(load_text_backbone(hub), WordPiece(load_vocabulary(hub)), hub)
    assert caught.value.exit_code == 4


def test_a_pipe_or_a_link_out_is_refused_anywhere_in_the_folder(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("private")
    for name in ("model.weights.h5", "config.json", "assets/tokenizer/vocabulary.txt", "more"):
        kept = (hub / name).read_bytes() if (hub / name).exists() else b""
        (hub / name).unlink(missing_ok=True)
        os.mkfifo(hub / name)
        assert "neither a file nor a folder" in str(refuse(hub))
        (hub / name).unlink()
        (hub / name).symlink_to(tmp_path / "secret")
        assert "outside the preset's folder" in str(refuse(hub))
        (hub / name).unlink()
        (hub / name).write_bytes(kept)


def test_a_link_between_folders_in_a_circle_is_told(hub: Path) -> None:
    (hub / "assets" / "again").symlink_to("..")
    (hub / "self").symlink_to("self")
    refuse(hub)


@pytest.mark.slow
def test_the_command_leaves_with_4_and_little_memory(tmp_path: Path, hub: Path) -> None:
    folder = tmp_path / "work"
    tiny_bert.write_experiment(folder, hub)
    marker = tmp_path / "executed"
    config = json.loads((hub / "config.json").read_text())
    lies = {
        "huge": config["config"] | {"hidden_dim": 10**9},
        "lambda": config["config"] | {"layers": [make_lambda(marker)]},
    }
    peaks = {}
    for name, inner in lies.items():
        (hub / "config.json").write_text(json.dumps(config | {"config": inner}))
        before = {path: seen for path, seen in list_tree(tmp_path).items() if "runs" not in path}
        done = run_kerasft("run", "experiment.yaml", "--output", f"runs/{name}", folder=folder)
        assert done.code == 4, done
        assert "Traceback" not in done.stderr
        assert str(hub) in done.stderr
        peaks[name] = done.peak_mb
        assert not (folder / "runs" / name / "model.keras").exists()
        assert {path: seen for path, seen in list_tree(tmp_path).items() if path in before} == before
    assert not marker.exists()
    assert peaks["huge"] < 2000
