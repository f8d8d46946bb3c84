"""Configs that lie: tags, bombs, endless files and things that are no files end with a message and exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lying_makers import list_tree, make_sparse, run_kerasft

from kerasft.config.loading import load_config
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig

GIGABYTE = 1 << 30
PLAIN = """name: x
task: {type: text_classification}
data: {train: {format: csv, path: train.csv}}
model: {preset: ./preset}
"""


def refuse(path: Path, *overrides: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(ExperimentConfig, path, overrides)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) <= 52
    assert max(map(len, str(caught.value).splitlines())) < 1500
    return caught.value


def write(folder: Path, text: str) -> Path:
    path = folder / "lie.yaml"
    path.write_text(text)
    return path


TAGS = [
    "!!python/object/apply:os.system ['touch executed']",
    "!!python/object/apply:subprocess.check_output [[touch, executed]]",
    "!!python/object/new:os.system ['touch executed']",
    "!!python/name:os.system",
    "!!python/module:antigravity",
    "!own {a: 1}",
    "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch executed']",
]


@pytest.mark.parametrize("value", TAGS)
def test_a_tag_makes_nothing_and_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    told = str(refuse(write(tmp_path, f"{PLAIN}seed: {value}\n")))
    assert "lie.yaml:5: seed: " in told
    assert "tag" in told
    assert list(list_tree(tmp_path)) == ["lie.yaml"]


def test_a_tag_on_the_whole_config_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = str(refuse(write(tmp_path, f"--- {TAGS[0]}\n")))
    assert "lie.yaml:1" in told
    assert list(list_tree(tmp_path)) == ["lie.yaml"]


def test_a_tag_in_an_override_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = str(refuse(write(tmp_path, PLAIN), f"seed={TAGS[0]}"))
    assert "override seed=" in told
    assert list(list_tree(tmp_path)) == ["lie.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{i}: 1\n" for i in range(300)),
        f"{'k' * 500_000}: 1\n",
        f"{PLAIN}seed: !{'t' * 500_000} 1\n",
        f"{PLAIN}seed: {'v' * 500_000}\n",
    ],
    ids=["300 unknown keys", "a key of 500 kB", "a tag of 500 kB", "a value of 500 kB"],
)
def test_what_is_told_stays_short(tmp_path: Path, text: str) -> None:
    refuse(write(tmp_path, text))


def nest(open_with: str, levels: int = 30, each: int = 9) -> str:
    """Aliases of aliases: 9 to the power of 30 values, were they followed."""
    if open_with == "<<":
        lines = ["a0: &a0 {x: 1}"]
        lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * each)}]}}" for i in range(1, levels)]
    else:
        lines = [f"a0: &a0 [{', '.join(['lol'] * each)}]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * each)}]" for i in range(1, levels)]
    return "\n".join(lines)


BOMBS = {
    "lists": nest("["),
    "merges": nest("<<"),
    "sections": "a0: &a0 {x: 1}\n"
    + "\n".join(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, 40)),
    "an alias in itself": f"{PLAIN}seed: &x [*x]",
    "an alias in itself, deeper": f"{PLAIN}seed: &x {{a: [1, {{b: *x}}]}}",
    "a section merged into itself": f"{PLAIN}train: &x\n  <<: *x",
    "two sections merged into each other": f"{PLAIN}train: &x\n  a: &y\n    <<: *x\n  <<: *y",
    "deep lists": "a: " + "[" * 50_000 + "]" * 50_000,
    "deep sections": "a: " + "{a: " * 50_000,
    "deep lines": "\n".join("  " * i + "a:" for i in range(900)),
    "deep dashes": "- " * 50_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=list(BOMBS))
def test_a_bomb_is_refused(tmp_path: Path, text: str) -> None:
    told = str(refuse(write(tmp_path, text)))
    assert "lie.yaml:" in told
    assert any(word in told for word in ("levels", "aliases followed", "after <<", "not valid YAML")), told


def test_a_config_of_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = make_sparse(tmp_path / "lie.yaml", 2 * GIGABYTE, PLAIN.encode())
    told = str(refuse(path))
    assert f"{path}: expected a config of at most 1,048,576 bytes, got 2,147,483,648" in told


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_not_read(device: str) -> None:
    assert f"{device}: expected a file, got a device; write the config into a file" in str(
        refuse(Path(device))
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lie.yaml")
    (tmp_path / "link.yaml").symlink_to("lie.yaml")
    for name in ("lie.yaml", "link.yaml"):
        assert f"{name}: expected a file, got a pipe" in str(refuse(tmp_path / name))


def test_a_folder_without_a_config_is_no_run_folder(tmp_path: Path) -> None:
    assert "contains no config.yaml, so it is not a run folder" in str(refuse(tmp_path))
    os.mkfifo(tmp_path / "config.yaml")
    assert "config.yaml: is a pipe, not a plain file" in str(refuse(tmp_path))


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "lie.yaml").symlink_to("lie.yaml")
    refuse(tmp_path / "lie.yaml")


def test_the_command_leaves_with_2_and_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "plain.yaml").write_text("name: x\n")
    (folder / "tag.yaml").write_text(f"{PLAIN}seed: {TAGS[0]}\n")
    (folder / "bomb.yaml").write_text(BOMBS["merges"])
    make_sparse(folder / "endless.yaml", 2 * GIGABYTE, PLAIN.encode())
    os.mkfifo(folder / "pipe.yaml")
    before = list_tree(folder)
    usual = run_kerasft("prepare", "plain.yaml", folder=folder)
    for name, words in {
        "tag.yaml": "tag.yaml:5: seed: expected a plain",
        "bomb.yaml": "bomb.yaml:1: expected at most 100,000 values",
        "endless.yaml": "endless.yaml: expected a config of at most 1,048,576 bytes",
        "pipe.yaml": "pipe.yaml: expected a file, got a pipe",
    }.items():
        done = run_kerasft("prepare", name, folder=folder, seconds=60)
        assert done.code == 2, done
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.peak_mb < usual.peak_mb + 100, name
    assert list_tree(folder) == before
