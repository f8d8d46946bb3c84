"""What a preset's folder must hold, and what is refused in one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from preset_makers import make_keras_hub_preset, make_preset

from kerasft.errors import PresetError
from kerasft.integrity import write_hashes
from kerasft.models.hubs.folders import (
    check_preset_folder,
    compute_preset_fingerprint,
    find_missing,
    list_preset_files,
)


def test_both_forms_are_accepted(tmp_path: Path) -> None:
    check_preset_folder(make_preset(tmp_path / "hugging_face"))
    check_preset_folder(make_keras_hub_preset(tmp_path / "keras_hub"))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "has no config.json; it holds model.safetensors, vocab.txt"),
        ("model.safetensors", r"lacks weights \(model.safetensors, or model.weights.h5\)"),
        ("vocab.txt", "lacks a vocabulary"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, file: str, message: str) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / file).unlink()
    with pytest.raises(PresetError, match=message) as caught:
        check_preset_folder(folder)
    assert "keras-hub's form" in str(caught.value)


def test_weights_may_be_absent_where_they_start_random(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "model.safetensors").unlink()
    check_preset_folder(folder, needs_weights=False)


def test_pickled_weights_do_not_count_and_the_message_says_why(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(PresetError, match="lacks weights") as caught:
        check_preset_folder(folder)
    assert "pytorch_model.bin would have to be unpickled" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_safetensors_cut_short_are_noticed(tmp_path: Path, keep: int) -> None:
    folder = make_preset(tmp_path / "preset")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:keep])
    assert find_missing(folder) == ["the end of model.safetensors"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    )
    assert find_missing(folder) == ["model-00002-of-00002.safetensors"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "neither `registered_name`"),
        ("\x00\x00", "is not JSON"),
    ],
)
def test_a_config_that_lies_is_refused(tmp_path: Path, config: str, message: str) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "config.json").write_text(config)
    with pytest.raises(PresetError, match=message):
        check_preset_folder(folder)


def test_a_config_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    with pytest.raises(PresetError, match=r"config.json: is damaged: it is a folder"):
        check_preset_folder(folder)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    secret = tmp_path / "secret"
    secret.write_text("private")
    (folder / "special_tokens_map.json").symlink_to(secret)
    with pytest.raises(PresetError, match="outside the preset's folder"):
        check_preset_folder(folder)


def test_a_linked_folder_inside_is_refused(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (tmp_path / "elsewhere").mkdir()
    (folder / "assets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PresetError, match="outside the preset's folder"):
        check_preset_folder(folder)


def test_links_inside_the_folder_and_into_the_allowed_one_are_followed(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (folder / "vocab.txt").rename(blobs / "1234")
    (folder / "vocab.txt").symlink_to(blobs / "1234")
    (folder / "added_tokens.json").symlink_to("config.json")
    check_preset_folder(folder, may_link_within=blobs)
    with pytest.raises(PresetError, match="outside the preset's folder"):
        check_preset_folder(folder)


def test_a_preset_of_links_has_the_fingerprint_of_its_files(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    write_hashes(folder)
    before = compute_preset_fingerprint(folder)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for path in [path for path in folder.iterdir() if path.is_file()]:
        path.rename(blobs / path.name)
        path.symlink_to(blobs / path.name)
    assert compute_preset_fingerprint(folder) == before


def test_a_pipe_in_the_folder_is_refused_and_not_read(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(PresetError, match="neither a file nor a folder"):
        check_preset_folder(folder)


def test_fingerprint_is_of_names_and_contents_of_what_builds_the_model(tmp_path: Path) -> None:
    folder = make_keras_hub_preset(tmp_path / "preset")
    before = compute_preset_fingerprint(folder)
    shutil.copytree(folder, tmp_path / "copy")
    assert compute_preset_fingerprint(tmp_path / "copy") == before
    (folder / "README.md").write_text("about")
    (folder / "optimizer.pt").write_bytes(b"state")
    assert compute_preset_fingerprint(folder) == before
    vocabulary = folder / "assets" / "tokenizer" / "vocabulary.txt"
    vocabulary.write_text(vocabulary.read_text() + "x\n")
    changed = compute_preset_fingerprint(folder)
    assert changed != before
    vocabulary.rename(vocabulary.with_name("vocabulary.spm"))
    assert compute_preset_fingerprint(folder) not in (before, changed)


def test_files_that_build_nothing_are_not_listed(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "preset")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "LICENSE").write_text("terms")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"")
    assert list_preset_files(folder) == ["config.json", "model.safetensors", "vocab.txt"]
    assert list_preset_files(folder, notices=True) == [
        "LICENSE",
        "config.json",
        "model.safetensors",
        "vocab.txt",
    ]
