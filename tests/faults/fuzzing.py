"""Odd configs, command lines, records and data, made from the schema and a seed: the same number, the same case."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasft.cli.main import main
from kerasft.experiment import experiment_schema
from kerasft.tasks import TASKS

RAW_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What no terminal may be sent (line feed and tab aside)."""
ODD_TEXTS = [
    *(
        "",
        " ",
        "a",
        "no",
        "on",
        "1e-4",
        "nan",
        ".inf",
        "null",
        "~",
        "0x10",
        "1_000",
        "[red]",
        "[/red]",
        "{x",
        "]",
    ),
    *(
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "a\nb",
        "a\rb",
        "a\tb",
        "\x00",
        "\x9b31m",
        "\u202eevil",
        "\u2066x",
        "\x7f",
    ),
    *(
        "\ud800",
        "caf\udce9.csv",
        "café",
        "cafe\u0301",
        "人",
        "😀",
        "\ufeff",
        "\u2028",
        "x" * 300,
        "x" * 5000,
        "%s%d",
    ),
    *(
        "=1+1",
        "-1",
        "+a",
        "@x",
        "--help",
        "--",
        "-",
        "-q",
        "a=b",
        "train.epochs=1",
        "/proc/x",
        "/dev/full",
        "/dev/null",
    ),
    *(
        "./nothing",
        "*.csv",
        "**",
        "[",
        "a[0]",
        "package:os",
        "tfds://x",
        "file://x",
        "train.csv",
        "train.jsonl",
        "folder",
    ),
    *(
        "utf-8",
        "utf-16",
        "latin-1",
        "hex",
        "rot13",
        "idna",
        "undefined",
        "unicode_escape",
        "base64",
        "nothing-8",
    ),
]
ODD_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 1e-320),
    *(
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        {"type": "x"},
        {"type": None},
        {"": {}},
        [1, "a", {}],
    ),
]
# verify-resume starts processes
VERBS = [
    "prepare",
    "finetune",
    "evaluate",
    "export",
    "run",
    "predict",
    "schema",
    "presets",
    "samples",
]
OPTIONS = [
    *(
        "--output",
        "-o",
        "--quiet",
        "-q",
        "--to",
        "--input",
        "-i",
        "--column",
        "--no-header",
        "--format",
        "--draw",
    ),
    *(
        "--highlight",
        "--batch-size",
        "--restart",
        "--yes",
        "--steps",
        "--kills",
        "--version",
        "--help",
        "--traceback",
    ),
    *("--encoding", "--nothing", "-x", "--cached", "--"),
]
SCHEMAS = [experiment_schema(task) for task in TASKS]


@dataclass
class Case:
    """One call of the command line, in a folder of its own.

    Args:
        kind: of case, by which they are counted.
        arguments: the command line.
        files: what lies in the folder, by path.
        stdin: what can be read.
        encoding: of the standard streams.
    """

    kind: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    encoding: str = "utf-8"


@dataclass
class Outcome:
    """What a case came to: its exit code, and what was printed."""

    code: int
    out: str
    err: str


def run_case(case: Case, folder: Path) -> Outcome:
    """Runs a case in `folder`, which is made, and removed at the end."""
    folder.mkdir()
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    out, err = io.BytesIO(), io.BytesIO()
    streams = (
        io.TextIOWrapper(io.BytesIO(case.stdin), encoding="utf-8", errors="surrogateescape"),
        io.TextIOWrapper(out, encoding=case.encoding, newline=""),
        io.TextIOWrapper(err, encoding=case.encoding, errors="backslashreplace", newline=""),
    )
    with _streams(*streams), contextlib.chdir(folder):
        code = main(case.arguments)
        streams[1].flush()
        streams[2].flush()
    shutil.rmtree(folder)
    shown = [stream.getvalue().decode(case.encoding, "surrogateescape") for stream in (out, err)]
    return Outcome(code, *shown)


@contextlib.contextmanager
def _streams(*streams: Any) -> Iterator[None]:
    before = sys.stdin, sys.stdout, sys.stderr
    environment = dict(os.environ)
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        os.environ.clear()
        os.environ.update(environment)


class Fuzzer:
    """Makes cases.

    Args:
        seed: another one, other cases.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self._schemas = [schema.model_json_schema() for schema in SCHEMAS]
        self._keys = sorted({key for schema in self._schemas for key in _list_keys(schema)})

    def make(self, number: int) -> Case:
        """The case of this number."""
        self.random = random.Random(f"{self.seed}/{number}")
        kinds: list[tuple[int, Callable[[], Case]]] = [
            (35, self._config),
            (10, self._yaml),
            (20, self._command_line),
            (10, self._records),
            (15, self._data),
            (10, self._inputs),
        ]
        (make,) = self.random.choices([make for _, make in kinds], [weight for weight, _ in kinds])
        case = make()
        case.encoding = self.random.choice(["utf-8", "utf-8", "ascii", "latin-1"])
        return case

    # values

    def text(self) -> str:
        choice = self.random.random()
        if choice < 0.6:
            return self.random.choice(ODD_TEXTS)
        if choice < 0.8:
            return self.random.choice(self._keys)
        return "".join(chr(self._code_point()) for _ in range(self.random.randrange(12)))

    def _code_point(self) -> int:
        return self.random.choice(
            [self.random.randrange(0x20, 0x7F), self.random.randrange(0xA0), self.random.randrange(0x110000)]
        )

    def odd(self) -> Any:
        return self.text() if self.random.random() < 0.6 else self.random.choice(ODD_VALUES)

    def value(self, root: dict[str, Any], node: dict[str, Any], oddness: float) -> Any:
        """A value as the schema has it; here and there an odd one in its place."""
        if self.random.random() < oddness:
            return self.odd()
        while "$ref" in node:
            node = root["$defs"][node["$ref"].rsplit("/", 1)[1]]
        for union in ("anyOf", "oneOf"):
            if union in node:
                return self.value(root, self.random.choice(node[union]), oddness)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self.random.choice(node["enum"])
        if node.get("type") == "object":
            return self._section(root, node, oddness)
        if node.get("type") == "array":
            items = node.get("items", {})
            return [self.value(root, items, oddness) for _ in range(self.random.randrange(4))]
        return {
            "integer": self.random.choice([0, 1, 2, 16]),
            "number": self.random.choice([0.0, 0.1, 0.5, 1.0]),
            "boolean": self.random.random() < 0.5,
            "null": None,
        }.get(str(node.get("type")), self.random.choice(["a", "text", "label", "train.csv", "folder", "0"]))

    def _section(self, root: dict[str, Any], node: dict[str, Any], oddness: float) -> dict[str, Any]:
        required = node.get("required", [])
        section = {
            key: self.value(root, inner, oddness)
            for key, inner in node.get("properties", {}).items()
            if key in required or self.random.random() < 0.25
        }
        if self.random.random() < oddness:
            section[self.text()] = self.odd()
        if section and self.random.random() < oddness:
            del section[self.random.choice(list(section))]
        return section

    # cases

    def _config(self) -> Case:
        schema = self.random.choice(self._schemas)
        oddness = self.random.choice([0.0, 0.02, 0.1, 0.3])
        data = self.value(schema, schema, oddness)
        if isinstance(data, dict) and self.random.random() < 0.7:
            data |= {"name": "t", "model": {"preset": "./none"}}
        text = _write_yaml(data, self.random)
        verb = self.random.choice(["prepare", "prepare", "run", "evaluate", "predict"])
        files = {"c.yaml": text.encode("utf-8", "surrogatepass"), **self._tables()}
        return Case("config", [verb, "c.yaml", *self._overrides(0.3)], files)

    def _yaml(self) -> Case:
        lines = _PLAIN.splitlines()
        for _ in range(self.random.randrange(1, 4)):
            lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(_YAML))
        raw = "\n".join(lines).encode("utf-8", "surrogatepass")
        if self.random.random() < 0.3:
            place = self.random.randrange(len(raw))
            raw = raw[:place] + self.random.randbytes(self.random.randrange(1, 6)) + raw[place:]
        raw = self.random.choice(
            [raw, raw, raw, self.random.randbytes(40), b"", raw.decode(errors="replace").encode("utf-16")]
        )
        return Case("yaml", ["prepare", "c.yaml"], {"c.yaml": raw, **self._tables()})

    def _command_line(self) -> Case:
        words = [self.random.choice(VERBS)] if self.random.random() < 0.9 else []
        if words and words[0] == "presets":
            words.append(self.random.choice(["list", "list", "fetch", self.text()]))
        if words and words[0] == "samples":
            words.append(self.random.choice(["entities", "nothing", self.text()]))
        if self.random.random() < 0.8:
            words.append(self.random.choice(["c.yaml", "c.yaml", "c.yaml", "run", "run", self.text()]))
        for _ in range(self.random.randrange(4)):
            words.append(
                self.random.choice([self.random.choice(OPTIONS), self.text(), *self._overrides(1.0)])
            )
        words = [word for word in words if word not in ("bert_tiny_en_uncased",)]
        files = {"c.yaml": _PLAIN.encode(), "run/config.yaml": _PLAIN.encode(), **self._tables()}
        return Case("command line", words, files, stdin=self._lines())

    def _overrides(self, share: float) -> list[str]:
        if self.random.random() > share:
            return []
        keys = [
            ".".join(self.random.choices(self._keys, k=self.random.randrange(1, 4))),
            self.text(),
            "data.train.path",
        ]
        value = self.odd()
        shown = value if isinstance(value, str) else json.dumps(value)
        return [f"{self.random.choice(keys)}={shown}"]

    def _records(self) -> Case:
        files = {"run/config.yaml": _PLAIN.encode(), **self._tables()}
        for name in self.random.sample(_RECORDS, self.random.randrange(1, 5)):
            files[f"run/{name}"] = self._record()
        verb = self.random.choice(["prepare", "finetune", "evaluate", "export", "predict", "run"])
        return Case("records", [verb, "run", *(["a text"] if verb == "predict" else [])], files)

    def _record(self) -> bytes:
        choice = self.random.random()
        if choice < 0.2:
            return self.random.randbytes(30)
        if choice < 0.3:
            return b"[" * 100_000
        keys = [
            "label_names",
            "task",
            "labels",
            "fingerprint",
            "splits",
            "fields",
            "files",
            "epoch",
            "steps",
            "train",
            "version",
        ]
        record: Any = {self.random.choice(keys): self.odd() for _ in range(self.random.randrange(6))}
        return json.dumps(record if choice < 0.8 else self.odd()).encode()

    def _data(self) -> Case:
        kind = self.random.choice(["csv", "tsv", "jsonl", "conll", "parquet"])
        rows = [self._row(kind) for _ in range(self.random.randrange(60))]
        content = b"".join(rows)
        source: dict[str, Any] = {"format": "csv" if kind == "tsv" else kind, "path": f"d.{kind}"}
        if self.random.random() < 0.3:
            source["encoding"] = self.text()
        if kind == "tsv":
            source["delimiter"] = "\t"
        task = (
            "token_classification"
            if kind == "conll"
            else self.random.choice(["text_classification", "token_classification"])
        )
        config = {
            "name": "t",
            "task": {"type": task},
            "data": {
                "near_duplicates": False,
                "max_rejected": self.random.choice([0.01, 1.0]),
                "train": source,
            },
            "model": {"preset": "./none"},
        }
        files = {"c.yaml": json.dumps(config).encode(), f"d.{kind}": content}
        return Case("data", ["prepare", "c.yaml"], files)

    def _row(self, kind: str) -> bytes:
        text, label = self.text(), self.random.choice(["a", "b", self.text()])
        if self.random.random() < 0.5:
            text = " ".join(self.random.choices(["good", "bad", "film", "so", "very"], k=5)) + str(
                self.random.random()
            )
        if kind == "jsonl":
            row = self.random.choice(
                [
                    {"text": text, "label": label},
                    {"text": text, "label": label},
                    {"text": self.odd()},
                    self.odd(),
                ]
            )
            return json.dumps(row).encode() + b"\n"
        if kind == "conll":
            row = f"{text} {self.random.choice(['O', 'B-x', 'I-x', label])}\n" + self.random.choice(
                ["", "\n"]
            )
            return row.encode("utf-8", "surrogatepass")
        if kind == "parquet":
            return b"PAR1" + self.random.randbytes(20)
        parting = "\t" if kind == "tsv" else ","
        return f"{text}{parting}{label}{self.random.choice(['', parting])}\n".encode("utf-8", "surrogatepass")

    def _lines(self) -> bytes:
        lines = [self.text().encode("utf-8", "surrogatepass") for _ in range(self.random.randrange(5))]
        return b"\n".join([*lines, *([self.random.randbytes(8)] if self.random.random() < 0.3 else [])])

    def _inputs(self) -> Case:
        name = self.random.choice(["i.txt", "i.csv", "i.tsv", "i.jsonl", self.text()])
        options = ["--input", self.random.choice([name, "-", "."])]
        for _ in range(self.random.randrange(3)):
            options += self.random.choice(
                [
                    ["--column", self.text()],
                    ["--no-header"],
                    ["--format", self.random.choice(["csv", "jsonl", "x"])],
                    ["--to", self.random.choice(["a.csv", "a.jsonl", "a.html", "/dev/full", "/proc/x"])],
                    ["--encoding", self.text()],
                    ["--skip-errors"],
                    ["--output", self.text()],
                    ["--batch-size", self.random.choice(["0", "1", "x", "1e9"])],
                ]
            )
        files = {
            "run/config.yaml": _PLAIN.encode(),
            "i.txt": self._lines(),
            "i.csv": b"text,label\n" + self._lines(),
            "i.tsv": self._lines(),
            "i.jsonl": self._row("jsonl"),
        }
        return Case("inputs", ["predict", "run", *options], files, stdin=self._lines())

    def _tables(self) -> dict[str, bytes]:
        rows = "".join(
            f"the {word} film of {number},{'ab'[number % 2]}\n"
            for number, word in enumerate(["good", "bad"] * 6)
        )
        lines = "".join(
            json.dumps({"text": f"a film of {n}", "label": "ab"[n % 2]}) + "\n" for n in range(12)
        )
        return {
            "train.csv": f"text,label\n{rows}".encode(),
            "train.jsonl": lines.encode(),
            "folder/a/x.jpg": b"no picture",
        }


def _list_keys(schema: dict[str, Any]) -> list[str]:
    sections = [schema, *schema.get("$defs", {}).values()]
    return [key for section in sections for key in section.get("properties", {})]


def _write_yaml(data: Any, generator: random.Random) -> str:
    """JSON is YAML; some of its quotes are taken away, so that words become what YAML makes of them."""
    text = json.dumps(data, indent=generator.choice([None, 1]), ensure_ascii=generator.random() < 0.5)
    if generator.random() < 0.3:
        text = re.sub(r'"([\w./ -]+)"', r"\1", text)
    return text


_PLAIN = """name: t
task: {type: text_classification}
data: {near_duplicates: false, train: {format: csv, path: train.csv}}
model: {preset: ./none}
"""
_YAML = [
    *(
        "seed: yes",
        "seed: true",
        "seed: 1e-4",
        "seed: 0x10",
        "seed: 1_000",
        "seed: 2001-01-01",
        "seed: 1:30",
        "seed: .nan",
    ),
    *(
        "train: {optimizer: {learning_rate: 2e-4}}",
        "train: {optimizer: {}}",
        "train:\n\tepochs: 1",
        "seed: &x [*x]",
    ),
    *(
        "<<: {a: 1}",
        "<<: *nothing",
        "? [a, b]\n: 1",
        "? {a: 1}",
        "1: 2",
        "null: 1",
        "true: 1",
        ".inf: 1",
        "%YAML 1.1",
    ),
    *(
        "---",
        "...",
        "--- !!python/object/apply:os.getcwd []",
        "&a a: *a",
        "- a",
        "name: t",
        '"\\e[31mevil\\nkey": 1',
    ),
    *(
        "a: " + "[" * 2000,
        "x: {" * 500,
        "a: |\n  b\n c",
        'a: "\\ud800"',
        "a: !!binary x",
        "a: !!set {a}",
        "# comment",
        "'",
        '"',
    ),
    *(
        f"seed: {'9' * 5000}",
        "train: {epochs: 1e999}",
        "name: my run",
        "task: {type: text_classificatio}",
        "model: []",
    ),
]
_RECORDS = [
    *(
        "task.json",
        "metrics.json",
        "metrics.jsonl",
        "environment.json",
        "stages.json",
        "rejected.jsonl",
        "config.yaml",
    ),
    *(
        "dataset/manifest.json",
        "dataset/dataset_info.json",
        "dataset/features.json",
        "model.keras",
        "preset/config.json",
    ),
    *(
        "preset/vocabulary.txt",
        "checkpoints/frozen/10/state.json",
        "checkpoints/frozen/10/MANIFEST",
        "export/1/parity.json",
    ),
]
