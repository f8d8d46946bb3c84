"""A config file as plain values, with the line that each came from: YAML 1.2, nothing but data.

Only ruamel's parser is used, none of its constructors: tags make no objects, a duplicate key is a mistake, and
aliases cannot blow a small file up.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kerasft.config.problems import Problem, format_key

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
MAX_DEPTH = 64

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "merge"))
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)

KeyPath = tuple[str | int, ...]
"""A key's path, from the outermost key."""


@dataclass
class Document:
    """Plain values and where each came from.

    Args:
        data: dicts, lists, text, numbers, booleans and None.
        origins: key path → `file:line` or `override KEY=VALUE`; a path that is missing has its parent's.
        problems: what was wrong with the file as YAML.
        is_of_run: whether the file is a run folder's, which may come from somebody else.
        overridden: the paths of values that overrides gave.
    """

    data: Any = None
    origins: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_of_run: bool = False
    overridden: set[KeyPath] = field(default_factory=set)

    def is_overridden(self, path: KeyPath) -> bool:
        """Whether the value at `path` was given by an override, and not by the file."""
        return any(path[:depth] in self.overridden for depth in range(1, len(path) + 1))

    def find_origin(self, path: KeyPath) -> str:
        """Where the value at `path` came from, or the nearest one around it."""
        while path not in self.origins:
            path = path[:-1]
        return self.origins[path]


def read_document(path: Path, shown: str) -> Document:
    """Reads a config file.

    Args:
        path: the file.
        shown: what it is called in messages.

    Returns:
        Its values; `problems` says what is wrong with it as YAML, and then `data` may lack values.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    document = Document(origins={(): f"{shown}:1"})
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # asked before opening: a pipe that nobody writes to would be waited for without end
        problem = f"expected a file, got {_describe_kind(status.st_mode)}"
        document.problems.append(Problem(shown, "", problem, "write the config into a file"))
        return document
    with open(path, "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        problem = f"expected a config of at most {MAX_BYTES:,} bytes, got {max(status.st_size, len(raw)):,}"
        document.problems.append(Problem(shown, "", problem, "name the YAML file of an experiment"))
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"expected UTF-8 text, got the byte 0x{raw[error.start]:02x}"
        document.problems.append(Problem(f"{shown}:{line}", "", problem))
        return document
    parse_yaml(text, document, lambda line: f"{shown}:{line}")
    return document


def _describe_kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def parse_yaml(text: str, document: Document, name_line: Callable[[int], str]) -> None:
    """Puts one YAML document's values, origins and problems into `document`.

    Args:
        text: YAML 1.2.
        document: changed in place.
        name_line: line (from 1) → where.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = " ".join(filter(None, (error.context, error.problem)))
        document.problems.append(Problem(name_line(line), "", f"not valid YAML: {what}"))
        return
    except (YAMLError, ValueError) as error:
        document.problems.append(Problem(name_line(1), "", f"not valid YAML: {' '.join(str(error).split())}"))
        return
    except RecursionError:
        document.problems.append(Problem(name_line(1), "", f"expected at most {MAX_DEPTH} levels, got more"))
        return
    if root is not None:
        document.data = _Builder(document, name_line).build(root, (), root.start_mark.line + 1)


class _TooMuchError(Exception):
    pass


class _Builder:
    """Turns ruamel's nodes into plain values."""

    def __init__(self, document: Document, name_line: Callable[[int], str]):
        self.document = document
        self.name_line = name_line
        self.count = 0

    def build(self, node: Node, path: KeyPath, line: int) -> Any:
        try:
            return self._build(node, path, line)
        except _TooMuchError as error:
            self.document.problems.append(Problem(self.name_line(1), "", str(error)))
            return None

    def _complain(self, node: Node, path: KeyPath, what: str, fix: str | None = None) -> None:
        where = self.name_line(node.start_mark.line + 1)
        self.document.problems.append(Problem(where, format_key(path), what, fix))

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _TooMuchError(f"expected at most {MAX_VALUES:,} values, aliases followed; got more")

    def _build(self, node: Node, path: KeyPath, line: int) -> Any:
        self._count()
        if len(path) > MAX_DEPTH:
            raise _TooMuchError(f"expected at most {MAX_DEPTH} levels, got more (an alias inside itself?)")
        self.document.origins[path] = self.name_line(line)
        if isinstance(node, MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, SequenceNode):
            if node.tag != _TAG + "seq":
                self._complain(node, path, f"expected a plain list, got the tag {node.tag}")
            return [
                self._build(item, (*path, i), item.start_mark.line + 1) for i, item in enumerate(node.value)
            ]
        return self._build_scalar(node, path)

    def _build_mapping(self, node: MappingNode, path: KeyPath) -> dict[Any, Any]:
        if node.tag != _TAG + "map":
            self._complain(node, path, f"expected a plain section, got the tag {node.tag}")
        pairs = self._collect_pairs(node, path, (node,))
        return {
            key: self._build(value_node, (*path, key), key_node.start_mark.line + 1)
            for key, (key_node, value_node) in pairs.items()
        }

    def _collect_pairs(
        self, node: MappingNode, path: KeyPath, around: tuple[Node, ...]
    ) -> dict[Any, tuple[ScalarNode, Node]]:
        """The section's keys, and after them those that `<<: *other` brings and it lacks."""
        pairs: dict[Any, tuple[ScalarNode, Node]] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            self._count()
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, path, "expected a key, got a list or a section")
            elif key_node.tag == _TAG + "merge":
                merged.extend(value_node.value if isinstance(value_node, SequenceNode) else [value_node])
            elif (key := self._build_scalar(key_node, path)) in pairs:
                first = self.name_line(pairs[key][0].start_mark.line + 1)
                self._complain(key_node, (*path, key), "the key is given twice", f"first in {first}")
            else:
                pairs[key] = (key_node, value_node)
        for source in merged:
            if not isinstance(source, MappingNode) or source in around:
                self._complain(node, path, "expected another section after <<, got something else")
                continue
            for key, pair in self._collect_pairs(source, path, (*around, source)).items():
                pairs.setdefault(key, pair)
        return pairs

    def _build_scalar(self, node: Any, path: KeyPath) -> Any:
        text = node.value
        if node.tag not in _PLAIN_TAGS:
            self._complain(node, path, f"expected a plain value, got the tag {node.tag}")
            return text
        if node.style is not None or node.tag == _TAG + "str":
            return text
        if text in _NULLS:
            return None
        if text in _TRUTHS:
            return _TRUTHS[text]
        if len(text) <= 400:
            if _INTEGER.fullmatch(text):
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if _FLOAT.fullmatch(text):
                return float(re.sub(r"\.(?=[iInN])", "", text))
        return text
