"""Input that lies makes nothing be written, renamed or removed outside the run folder and the temporary folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny_bert
from lying_makers import ROOT, make_lambda
from needs import lacks

CALLS = (
    "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,link,linkat"
    ",truncate"
)
WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
ALLOWED = {
    r"/dev/null": "Python's subprocess module throws output away there",
    r"/proc/self/task/\d+/comm": "a thread of a library gives itself a name",
    r"/dev/shm/sem\..*": "joblib, which scikit-learn brings, tries at its import whether there are semaphores",
}
"""Paths that libraries open for writing whatever the input is, and why that harms nobody."""
CACHES = {
    "keras_home": "Keras writes its settings, keras.json, when it is first imported",
    "mplconfigdir": "Matplotlib writes the list of the fonts that it found, and a lock beside it",
}
"""Folders below HOME that libraries keep for themselves, here by their own variables (KERAS_HOME, MPLCONFIGDIR)."""


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """A folder with a home, a temporary folder and the work."""
    if shutil.which("strace") is None:
        pytest.skip(lacks("strace", "where commands write"))
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip(lacks("the right to trace processes", "where commands write"))
    for name in ("home", "temporary", "work", "trace"):
        (tmp_path / name).mkdir()
    return tmp_path


def trace(
    root: Path, *arguments: str, calls: str = CALLS, flags: Sequence[str] = ()
) -> tuple[int, str, list[str]]:
    """Runs `python -m kerasft ARGUMENTS` in `work`.

    Args:
        root: of `traced`.
        arguments: of the command.
        calls: what is traced.
        flags: of Python.

    Returns:
        The exit code, what was said, and every path that was written to, made, renamed or removed.
    """
    for old in (root / "trace").iterdir():
        old.unlink()
    places = {"TMPDIR": root / "temporary"} | {
        name: root / "home" / name.lower()
        for name in (
            "KERAS_HOME",
            "MPLCONFIGDIR",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "HF_HOME",
            "KAGGLEHUB_CACHE",
        )
    }
    command = [sys.executable, *flags, "-m", "kerasft", *arguments]
    done = subprocess.run(
        ["strace", "-ff", "-y", "-qq", "-s4096", f"-etrace={calls}", "-o", root / "trace" / "of", *command],
        cwd=root / "work",
        env={
            **os.environ,
            **{name: str(path) for name, path in places.items()},
            "HOME": str(root / "home"),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )
    changed = []
    for file in (root / "trace").iterdir():
        for line in file.read_text(errors="replace").splitlines():
            changed += find_changed(line, root / "work")
    return done.returncode, done.stdout + done.stderr, sorted(set(changed))


def find_changed(line: str, work: Path) -> list[str]:
    """The absolute paths that a traced call changed; none where it failed or only read."""
    call = line.partition("(")[0]
    if (
        call not in CALLS.split(",")
        or not re.search(r"\) += \d", line)
        or (call in ("open", "openat") and not WRITES.search(line))
    ):
        return []
    arguments = line.rpartition(") = ")[0]
    return [os.path.normpath(os.path.join(folder or work, name)) for folder, name in PATH.findall(arguments)]


def find_elsewhere(root: Path, changed: list[str], run: str) -> list[str]:
    """The paths that are neither in the run folder nor in the temporary folder, nor allowed."""
    runs = root / "work" / "runs"
    inside = [runs / run, root / "temporary", *(root / "home" / name for name in CACHES)]
    return [
        path
        for path in changed
        if path != str(runs)
        and not any(Path(path).is_relative_to(folder) for folder in inside)
        and not any(re.fullmatch(pattern, path) for pattern in ALLOWED)
    ]


def test_the_trace_is_read_rightly() -> None:
    work = Path("/place")
    assert find_changed('openat(AT_FDCWD</place>, "a", O_RDONLY|O_CLOEXEC) = 3</place/a>', work) == []
    assert find_changed('openat(AT_FDCWD</place>, "a", O_WRONLY|O_CREAT, 0666) = 3</place/a>', work) == [
        "/place/a"
    ]
    assert find_changed('openat(5</x>, "a", O_RDWR) = 3</x/a>', work) == ["/x/a"]
    assert find_changed('openat(AT_FDCWD</place>, "/a", O_RDWR) = -1 ENOENT (No such file)', work) == []
    assert find_changed('rename("/a", "b") = 0', work) == ["/a", "/place/b"]
    assert find_changed('symlinkat("t", AT_FDCWD</place>, "../n") = 0', work) == ["/place/t", "/n"]


@pytest.mark.slow
def test_lying_data_change_nothing_elsewhere(traced: Path) -> None:
    work = traced / "work"
    lines = [json.dumps({"text": f"text {i} of {i * 7919}", "label": "ab"[i % 2]}) for i in range(50)]
    lines += ['{"text": "../../escaped", "label": "../../escaped"}', '{"text": "cut', "\0" * 5000]
    (work / "train.jsonl").write_text("\n".join(lines))
    os.mkfifo(work / "pipe.jsonl")
    config = {
        "name": "lie",
        "task": {"type": "text_classification"},
        "data": {"train": {"format": "jsonl", "path": "train.jsonl"}, "max_rejected": 0.2},
        "model": {"preset": "./preset"},
    }
    (work / "lie.yaml").write_text(json.dumps(config))
    for arguments, code in (
        (["lie.yaml"], 0),
        (["lie.yaml", "data.max_rejected=0"], 3),
        (["lie.yaml", "data.train.path=pipe.jsonl"], 3),
        (["lie.yaml", "seed=!!python/object/apply:os.system [touch executed]"], 2),
        (["lie.yaml", "name=../../escaped"], 2),
    ):
        returned, said, changed = trace(traced, "prepare", *arguments)
        assert returned == code, said
        assert find_elsewhere(traced, changed, "lie") == [], said
    assert not list(traced.rglob("*e[sx]c*ed"))


@pytest.mark.slow
def test_a_lying_preset_changes_nothing_elsewhere(traced: Path, tiny_preset: Path) -> None:
    work = traced / "work"
    preset = Path(shutil.copytree(tiny_preset, traced / "preset"))
    tiny_bert.write_experiment(work, preset)
    config = json.loads((preset / "config.json").read_text())
    config["config"]["layers"] = [make_lambda(traced / "executed")]
    (preset / "config.json").write_text(json.dumps(config))
    returned, said, changed = trace(traced, "run", "experiment.yaml")
    assert returned == 4, said
    assert "contains keys that BertBackbone does not know: layers" in said
    assert find_elsewhere(traced, changed, "tiny") == []
    (preset / "more").symlink_to("/etc/hostname")
    returned, said, changed = trace(traced, "run", "experiment.yaml", "--output", "runs/other")
    assert returned == 4, said
    assert "outside the preset's folder" in said
    assert find_elsewhere(traced, changed, "other") == []
    assert not (traced / "executed").exists()
