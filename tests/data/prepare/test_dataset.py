"""Preparing: each fault planted in a real file, what is kept and what is said; and what the dataset then holds."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from data_makers import FIELDS, csv_source, sentences, tsv_source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kerasft.data.config import DataConfig
from kerasft.data.prepare.dataset import compute_data_fingerprint, load_prepared_dataset, prepare_dataset
from kerasft.errors import ConfigError, DataError

OWN = {"validation_share": 0.0, "test_share": 0.0}


def write_csv(path: Path, texts, labels=("negative", "positive"), start=0):
    lines = [f"{text},{labels[i % len(labels)]}" for i, text in enumerate(texts, start)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def three_files(tmp_path):
    texts = sentences(random.Random(0), 400)
    write_csv(tmp_path / "train.csv", texts[:300])
    write_csv(tmp_path / "validation.csv", texts[300:350])
    write_csv(tmp_path / "test.csv", texts[350:])
    return {name: csv_source(f"{name}.csv") for name in ("train", "validation", "test")}


def rejects(folder: Path):
    return [json.loads(line) for line in (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]


# What is kept and what is said.


def test_every_broken_row_is_rejected_alone_with_file_row_and_reason(tmp_path, prepare, progress):
    texts = sentences(random.Random(1), 200)
    good = [f"{text}\t{i % 2}".encode() for i, text in enumerate(texts)]
    planted = {
        10: b"   \t1",
        20: b"bro\xffken bytes\t1",
        30: b"three\tcolumns\t1",
        40: b"one column",
        50: b"no label\t",
        60: b"nul \x00 inside\t1",
    }
    lines = list(good)
    for row, line in planted.items():
        lines.insert(row - 1, line)
    (tmp_path / "train.tsv").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    dataset = prepare({"train": tsv_source("train.tsv"), "max_rejected": 0.05, **OWN})

    assert [example["text"] for example in dataset.split("train").take(range(200))] == texts
    found = {entry["row"]: (entry["file"], entry["reason"]) for entry in rejects(dataset.folder)}
    assert found == {
        10: ("train.tsv", "empty text"),
        20: ("train.tsv", "invalid UTF-8"),
        30: ("train.tsv", "wrong column count"),
        40: ("train.tsv", "wrong column count"),
        50: ("train.tsv", "missing label"),
        60: ("train.tsv", "NUL character"),
    }
    assert rejects(dataset.folder)[2]["content"] == "three\tcolumns\t1"
    assert rejects(dataset.folder)[2]["detail"] == "expected 2, found 3"
    assert dataset.manifest["splits"]["train"]["rejected"]["wrong column count"] == 2
    assert ["train", "wrong column count", 2] in progress.tables["Rejected rows"]
    assert [dataset.split("train").origin(i) for i in (0, 8, 9, 199)] == [
        "train.tsv:1",
        "train.tsv:9",
        "train.tsv:11",
        "train.tsv:206",
    ]


def test_too_many_rejects_stop_with_counts_and_places_and_leave_the_list(tmp_path, prepare):
    write_csv(tmp_path / "train.csv", sentences(random.Random(2), 96))
    with open(tmp_path / "train.csv", "a") as file:
        file.write(",positive\nno label,\n ,negative\nalone\n")
    with pytest.raises(DataError) as error:
        prepare({"train": csv_source("train.csv"), **OWN})
    message = str(error.value)
    assert (
        "4 of 100 rows of data.train (4.0%) cannot be used, which is more than data.max_rejected (1.0%)"
        in message
    )
    assert "2 empty text" in message
    assert "train.csv:98: empty text" in message
    assert "train.csv:101: wrong column count: expected 2, found 1" in message
    assert error.value.exit_code == 3
    kept = tmp_path / "prepared.rejected.jsonl"
    assert error.value.fix == f"All are listed in {kept}. Correct them, or raise data.max_rejected."
    assert len(kept.read_text().splitlines()) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prepared.rejected.jsonl", "train.csv"]

    assert len(prepare({"train": csv_source("train.csv"), "max_rejected": 0.04, **OWN}).split("train")) == 96
    assert not kept.exists()


def test_unknown_labels_are_rejected_with_the_nearest(tmp_path, prepare):
    write_csv(tmp_path / "train.csv", sentences(random.Random(3), 50), ("good", "bad", "godo"))
    dataset = prepare({"train": csv_source("train.csv"), "max_rejected": 0.5, **OWN}, labels=("good", "bad"))
    assert dataset.label_names == ("good", "bad")
    (first, *_) = rejects(dataset.folder)
    assert (first["row"], first["reason"]) == (4, "unknown label")
    assert first["detail"] == "'godo'; did you mean 'good'?"


def test_labels_that_train_lacks_are_rejected_elsewhere(tmp_path, prepare, three_files):
    with open(tmp_path / "test.csv", "a") as file:
        file.write("a text of a kind not seen before,neutral\n")
    dataset = prepare({**three_files, "max_rejected": 0.5})
    assert dataset.label_names == ("negative", "positive")
    assert [entry["detail"] for entry in rejects(dataset.folder)] == ["'neutral'; known: negative, positive"]


def test_one_class_only_is_an_error(tmp_path, prepare):
    write_csv(tmp_path / "train.csv", sentences(random.Random(4), 30), ("positive",))
    with pytest.raises(DataError, match="All rows of train have one label, 'positive'") as error:
        prepare({"train": csv_source("train.csv")})
    assert error.value.exit_code == 3
    assert not (tmp_path / "prepared").exists()


def test_a_text_column_taken_for_the_label_is_suspected(tmp_path, prepare):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"yes,label {i}\n" for i in range(10_002)))
    with pytest.raises(DataError, match=r"more than 10,000 different labels.*\n.*which column"):
        prepare({"train": csv_source("train.csv")})


@pytest.mark.parametrize("content", ["", "text,label\n"])
def test_a_file_without_rows_is_an_error(tmp_path, prepare, three_files, content):
    (tmp_path / "validation.csv").write_text(content)
    with pytest.raises(DataError, match=r"data.validation: It contains no rows"):
        prepare(three_files)


def test_imbalance_missing_and_look_alike_labels_are_warned_of(tmp_path, prepare, progress):
    texts = sentences(random.Random(5), 120)
    lines = [f"{text},common" for text in texts[:100]] + [f"{texts[100]},rare", f"{texts[101]},Common"]
    (tmp_path / "train.csv").write_text("text,label\n" + "\n".join(lines))
    write_csv(tmp_path / "test.csv", texts[102:], ("common", "rare"))
    prepare({"train": csv_source("train.csv"), "test": csv_source("test.csv"), "validation_share": 0.0})
    warnings = "\n".join(progress.warnings)
    assert "test has no rows of 'Common'" in warnings
    assert "train is unbalanced: 100 rows of 'common', 1 of" in warnings
    assert "'Common' and 'common' differ only in case" in warnings


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("10", "9", "2"), ("2", "9", "10")),
        (("pos", "neg", "10"), ("10", "neg", "pos")),
        (("0.5", "-1"), ("-1", "0.5")),
    ],
)
def test_labels_are_ordered_by_value_or_by_name(tmp_path, prepare, labels, order):
    write_csv(tmp_path / "train.csv", sentences(random.Random(6), 30), labels)
    dataset = prepare({"train": csv_source("train.csv"), **OWN})
    assert dataset.label_names == order
    split = dataset.split("train")
    assert [order[split[i]["label"]] for i in range(4)] == [labels[i % len(labels)] for i in range(4)]
    assert split.column("label").dtype == np.int32
    assert split.column("label").tolist() == [
        example["label"] for batch in split.iterate(7) for example in batch
    ]


# Duplicates and leaks.


def test_duplicates_in_a_split_are_counted_and_conflicts_shown(tmp_path, prepare, progress):
    texts = sentences(random.Random(7), 40)
    lines = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(texts)]
    lines += [f"{texts[0].upper()}!,a", f"{texts[2]},b", f'"{texts[4]}, more",a']
    (tmp_path / "train.csv").write_text("text,label\n" + "\n".join(lines))
    dataset = prepare({"train": csv_source("train.csv"), **OWN})
    found = dataset.manifest["splits"]["train"]["duplicates"]
    assert (found["exact"], found["conflicting"], found["near"]) == (2, 2, 2)
    assert [example["row"] for example in found["conflicting_examples"]] == ["train.csv:4", "train.csv:43"]
    assert len(dataset.split("train")) == 43
    (warning,) = (line for line in progress.warnings if "another label" in line)
    assert warning.startswith("2 rows of train share their text with a row of another label: train.csv:4")
    header, row = progress.tables["Prepared dataset"]
    assert dict(zip(header, row, strict=True))["duplicates"] == 2


@pytest.fixture
def leaking(tmp_path, three_files):
    """Two exact leaks and one near leak from train's rows 5, 6 and 7 into test's rows 52, 53 and 54."""
    train = (tmp_path / "train.csv").read_text().splitlines()[1:]
    texts = [line.split(",")[0] for line in train]
    words = texts[5].split()
    words[3] = "otherwise"
    with open(tmp_path / "test.csv", "a") as file:
        file.write(f"{texts[3]},negative\n{texts[4].title()} !!,positive\n{' '.join(words)},negative\n")
    return three_files


def test_leaks_are_warned_of_by_default(prepare, progress, leaking):
    dataset = prepare(leaking)
    leaks = dataset.manifest["leaks"]["train → test"]
    assert (leaks["exact"], leaks["near"], leaks["dropped"]) == (2, 1, 0)
    places = [(example["row"], example["stands_in"]) for example in leaks["examples"]]
    assert places == [
        ("test.csv:52", "train.csv:5"),
        ("test.csv:53", "train.csv:6"),
        ("test.csv:54", "train.csv:7"),
    ]
    assert leaks["examples"][0]["same_label"] is False or leaks["examples"][0]["similarity"] == 1.0
    assert 0.6 < leaks["examples"][2]["similarity"] < 1
    assert any(
        "2 texts of test are also in train, and 1 is a near duplicate" in line for line in progress.warnings
    )
    assert ["train → test", 2, 1, 0] in progress.tables["Texts in two splits"]
    assert len(dataset.split("train")) == 300


def test_leaks_can_be_refused(tmp_path, prepare, leaking):
    with pytest.raises(
        DataError, match="2 texts of test are also in train, and 1 is a near duplicate"
    ) as error:
        prepare({**leaking, "leaks": "refuse"})
    assert error.value.exit_code == 3
    assert "test.csv:52 the same as train.csv:5" in str(error.value)
    assert not (tmp_path / "prepared").exists()


def test_leaks_can_be_dropped_from_train(prepare, progress, leaking):
    dataset = prepare({**leaking, "leaks": "drop"})
    assert dataset.manifest["leaks"]["train → test"]["dropped"] == 3
    split = dataset.split("train")
    assert len(split) == 297
    assert [split.origin(i) for i in range(2, 5)] == ["train.csv:4", "train.csv:8", "train.csv:9"]
    assert len(dataset.split("test")) == 53
    assert sum(dataset.manifest["splits"]["train"]["labels"].values()) == 297
    assert "3 rows of train were dropped" in progress.notes[0]


def test_near_duplicates_can_be_left_alone(prepare, leaking):
    leaks = prepare({**leaking, "near_duplicates": False}).manifest["leaks"]["train → test"]
    assert (leaks["exact"], leaks["near"]) == (2, 0)


def test_false_alarms_on_sst2_are_few(sst2, tmp_path):
    sources = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    config = DataConfig.model_validate({name: tsv_source(file) for name, file in sources.items()})
    dataset = prepare_dataset(config, FIELDS, tmp_path / "sst2", base=sst2, seed=0)
    assert [len(dataset.split(name)) for name in dataset.splits] == [6920, 872, 1821]
    leaks = dataset.manifest["leaks"]
    assert [leaks[key]["exact"] for key in leaks] == [1, 2, 0]
    assert sum(leak["near"] for leak in leaks.values()) <= 8


# Cutting.


def test_missing_splits_are_cut_from_train_by_seed(tmp_path, prepare):
    texts = sentences(random.Random(8), 1000)
    write_csv(tmp_path / "train.csv", texts, ("a", "a", "a", "b"))
    data = {"train": csv_source("train.csv"), "validation_share": 0.1, "test_share": 0.2}
    dataset = prepare(data, seed=1)
    counts = {name: dataset.manifest["splits"][name]["labels"] for name in dataset.splits}
    assert counts == {
        "train": {"a": 525, "b": 175},
        "validation": {"a": 75, "b": 25},
        "test": {"a": 150, "b": 50},
    }
    rows = [
        {dataset.split(name).origin(i) for i in range(len(dataset.split(name)))} for name in dataset.splits
    ]
    assert len(set.union(*rows)) == 1000
    assert dataset.manifest["splits"]["test"]["cut_from_train"]

    def read(prepared):
        return [example["text"] for example in prepared.split("test").take(range(200))]

    first = read(dataset)
    assert read(prepare(data, seed=1, folder="again")) == first
    assert read(prepare(data, seed=2, folder="other")) != first


def test_duplicates_do_not_leak_into_what_is_cut(tmp_path, prepare):
    texts = sentences(random.Random(9), 300)
    near = [text + " indeed" for text in texts]
    write_csv(tmp_path / "train.csv", [*texts, *texts, *near], ("a",) * 300 + ("b",) * 300)
    leaks = prepare({"train": csv_source("train.csv")}).manifest["leaks"]
    assert all(leak["exact"] + leak["near"] == 0 for leak in leaks.values())


def test_train_may_be_missing_and_a_share_may_be_none(tmp_path, prepare, three_files):
    assert prepare({"test": three_files["test"]}).splits == ("test",)
    write_csv(tmp_path / "train.csv", sentences(random.Random(10), 100))
    assert prepare({"train": csv_source("train.csv"), "validation_share": 0.0}).splits == ("train", "test")


def test_train_too_small_to_cut_is_an_error(tmp_path, prepare):
    (tmp_path / "train.csv").write_text("text,label\nyes,a\nno,b\n")
    with pytest.raises(DataError, match="too few different texts to cut validation"):
        prepare({"train": csv_source("train.csv")})


def test_shares_must_leave_something_to_train_on():
    with pytest.raises(ValidationError, match=r"leave nothing to train on \(0.6 \+ 0.4\)"):
        DataConfig(validation_share=0.6, test_share=0.4)


def test_a_column_for_a_field_that_there_is_not_is_an_error(prepare, three_files):
    with pytest.raises(ConfigError, match=r"no 'labl'; they have text, label") as error:
        prepare({**three_files, "test": csv_source("test.csv", columns={"labl": "label"})})
    assert error.value.where == "data.test.columns"
    assert "'label'" in error.value.fix


def test_no_source_at_all_is_an_error(prepare):
    with pytest.raises(DataError, match="names no files"):
        prepare({})


# The dataset.


def test_any_tfds_user_can_open_it(prepare, three_files):
    tfds = pytest.importorskip("tensorflow_datasets")
    dataset = prepare(three_files)
    builder = tfds.builder_from_directory(str(dataset.folder))
    source = builder.as_data_source(split="train")
    assert len(source) == 300
    example = source[7]
    assert example["text"].decode() == dataset.split("train")[7]["text"]
    assert builder.info.features["label"].names == list(dataset.label_names)
    assert builder.info.features["label"].int2str(example["label"]) == "positive"
    assert builder.info.splits["test"].num_examples == 50


def test_examples_are_taken_at_any_indices_in_the_order_asked(prepare, three_files, tmp_path):
    texts = [line.split(",")[0] for line in (tmp_path / "train.csv").read_text().splitlines()[1:]]
    split = load_prepared_dataset(prepare(three_files).folder).split("train")
    order = np.random.default_rng(0).permutation(300)
    assert [example["text"] for example in split.take(order)] == [texts[i] for i in order]
    assert split.take([]) == []
    assert split.take([3, 3, -1]) == [split[3], split[3], split[299]]
    with pytest.raises(IndexError):
        split.take([300])
    with pytest.raises(DataError, match=r"no split 'dev'; there are train, validation, test"):
        prepare(three_files).split("dev")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, st.sampled_from(["ja", "nein"])), min_size=1, max_size=30))
def test_any_texts_come_back_as_they_were(tmp_path, written):
    written = [("Anfang", "ja"), ("Ende", "nein"), *written]
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in written]
    (tmp_path / "any.jsonl").write_bytes("\n".join(lines).encode())
    config = DataConfig.model_validate(
        {"train": {"format": "jsonl", "path": "any.jsonl"}, "max_rejected": 1.0, **OWN}
    )
    dataset = prepare_dataset(config, FIELDS, tmp_path / "prepared", base=tmp_path, seed=0)
    split = dataset.split("train")
    found = {split.origin(i): split[i] for i in range(len(split))}
    for row, (text, label) in enumerate(written, 1):
        example = found.pop(f"any.jsonl:{row}", None)
        if example is not None:
            assert example == {"text": text, "label": dataset.label_names.index(label)}
        else:
            assert not text.strip() or any(entry["row"] == row for entry in rejects(dataset.folder))
    assert not found


def test_several_files_keep_their_origins_and_are_hashed(tmp_path, prepare):
    (tmp_path / "parts").mkdir()
    for i in range(3):
        write_csv(tmp_path / "parts" / f"{i}.csv", sentences(random.Random(i), 20))
    dataset = prepare({"train": csv_source("parts/*.csv"), **OWN})
    split = dataset.split("train")
    assert [split.origin(i) for i in (0, 19, 20, 59)] == [
        "parts/0.csv:2",
        "parts/0.csv:21",
        "parts/1.csv:2",
        "parts/2.csv:21",
    ]
    source = dataset.manifest["sources"][1]
    assert source["file"] == "parts/1.csv"
    assert source["rows"] == 20
    assert source["size_bytes"] == (tmp_path / "parts/1.csv").stat().st_size
    assert len(source["sha256"]) == 64


def test_the_fingerprint_changes_with_content_and_settings_only(tmp_path, prepare, three_files):
    first = prepare(three_files).fingerprint
    assert prepare(three_files, seed=5, folder="other").fingerprint == first
    (tmp_path / "train.csv").rename(tmp_path / "moved.csv")
    assert prepare({**three_files, "train": csv_source("moved.csv")}).fingerprint == first
    assert prepare({**three_files, "train": csv_source("moved.csv"), "leaks": "drop"}).fingerprint != first
    assert (
        prepare(
            {**three_files, "train": csv_source("moved.csv")}, labels=("positive", "negative")
        ).fingerprint
        != first
    )
    with open(tmp_path / "moved.csv", "a") as file:
        file.write("one more text,positive\n")
    assert prepare({**three_files, "train": csv_source("moved.csv")}).fingerprint != first


def test_the_seed_is_part_of_the_fingerprint_where_it_cuts(tmp_path, prepare):
    write_csv(tmp_path / "train.csv", sentences(random.Random(11), 60))
    data = {"train": csv_source("train.csv")}
    assert prepare(data, seed=0).fingerprint != prepare(data, seed=1).fingerprint


def test_the_cheap_fingerprint_notices_any_change(tmp_path, three_files):
    config = DataConfig.model_validate(three_files)
    first = compute_data_fingerprint(config, tmp_path)
    assert compute_data_fingerprint(config, tmp_path) == first
    path = tmp_path / "test.csv"
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"negative", b"Negative", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert compute_data_fingerprint(config, tmp_path) != first
    path.write_bytes(content)
    assert compute_data_fingerprint(config, tmp_path) == first
    other = DataConfig.model_validate({**three_files, "max_rejected": 0.5})
    assert compute_data_fingerprint(other, tmp_path) != first


def test_preparing_again_replaces_the_dataset_and_twice_gives_the_same(tmp_path, prepare, three_files):
    first = prepare(three_files)
    manifest = (first.folder / "manifest.json").read_bytes()
    records = (first.folder / "index" / "train.origins.npy").read_bytes()
    second = prepare(three_files)
    assert (second.folder / "manifest.json").read_bytes() == manifest
    assert (second.folder / "index" / "train.origins.npy").read_bytes() == records
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["prepared"]


def test_a_failure_leaves_what_stood_there(tmp_path, prepare, three_files):
    before = prepare(three_files).fingerprint
    (tmp_path / "train.csv").write_text("text,label\nonly one,positive\n")
    with pytest.raises(DataError):
        prepare(three_files)
    assert load_prepared_dataset(tmp_path / "prepared").fingerprint == before


def test_a_killed_run_leaves_no_dataset(tmp_path):
    write_csv(tmp_path / "train.csv", sentences(random.Random(12), 12_000))
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from kerasft.data.config import DataConfig
        from kerasft.data.prepare.dataset import prepare_dataset
        from kerasft.data.kinds.fields import Field
        base = Path(sys.argv[1])
        config = DataConfig.model_validate({"train": {"format": "csv", "path": "train.csv"}})
        fields = (Field("text", "text"), Field("label", "label", "target"))
        prepare_dataset(config, fields, base / "prepared", base=base, seed=0)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    while not list(tmp_path.glob(".prepared.*/prepared-train*")):
        assert process.poll() is None, "it ended before it began to write"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "prepared").exists()
    with pytest.raises(DataError, match="no prepared dataset"):
        load_prepared_dataset(tmp_path / "prepared")


def test_nothing_of_tensorflow_is_imported(tmp_path, three_files):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from kerasft.data.config import DataConfig
        from kerasft.data.prepare.dataset import prepare_dataset
        from kerasft.data.kinds.fields import Field
        base = Path(sys.argv[1])
        config = DataConfig.model_validate({"train": {"format": "csv", "path": "train.csv"}})
        fields = (Field("text", "text"), Field("label", "label", "target"))
        dataset = prepare_dataset(config, fields, base / "prepared", base=base, seed=0)
        assert len(dataset.split("train").take([0, 1])) == 2
        print([name for name in ("tensorflow", "keras", "torch", "jax") if name in sys.modules])
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"


@pytest.mark.slow
def test_memory_and_time_grow_by_little_with_the_rows():
    """Generated rows, all checks on: a further row costs little, processor time is linear."""
    script = Path(__file__).resolve().parents[3] / "benchmarks" / "prepare.py"
    command = [sys.executable, str(script), "50000", "250000"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    small, large = (line.split() for line in lines[1:3])
    assert float(large[3]) < 5 * 1.3 * float(small[3])
    assert int(lines[3].split()[1]) <= 150
