"""The pickle inside a PyTorch file, followed as data: it gives tensors' names, types and shapes, and calls nothing.

A pickle is a program for a small stack machine. The instructions that a state dict needs are carried out here, on plain
values. Classes and functions that a pickle names become inert marks, out of a closed list; every other name, call and
instruction is refused.

Sources: `pickletools` of Python's library, which takes a pickle apart without running it; PyTorch's `serialization.py`.
"""

from __future__ import annotations

import enum
import io
import math
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_PICKLE_BYTES = 16 << 20
"""Of a pickle; a thousand tensors take a hundredth of it."""
_MAX_AXES = 8

BYTES: dict[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
"""What one number of each type takes in a file."""
_TYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip


class Storage(NamedTuple):
    """A run of numbers in a file."""

    key: str
    dtype: str
    """As NumPy names it, or `bfloat16`."""
    size: int
    """How many numbers."""


class StoredTensor(NamedTuple):
    """A tensor as the pickle describes it: within the bounds of its storage."""

    storage: Storage
    offset: int
    """Where its first number is, in numbers from the storage's beginning."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """By axis, in numbers."""


class _Kind(NamedTuple):
    """Stands for a storage's class, such as `torch.FloatStorage`."""

    dtype: str


class _Function(enum.Enum):
    """Stands for what a state dict's pickle calls."""

    ORDERED_DICT = enum.auto()
    TENSOR = enum.auto()
    PARAMETER = enum.auto()


_NAMES: dict[tuple[str, str], _Kind | _Function] = {
    ("collections", "OrderedDict"): _Function.ORDERED_DICT,
    ("torch._utils", "_rebuild_tensor_v2"): _Function.TENSOR,
    ("torch._utils", "_rebuild_parameter"): _Function.PARAMETER,
    **{("torch", f"{name}Storage"): _Kind(dtype) for name, dtype in _TYPES.items()},
}


def read_pickle(content: io.BytesIO) -> Any:
    """What the next pickle describes: dicts, lists, tuples, texts, numbers, and `StoredTensor`s.

    Args:
        content: at the pickle's beginning; afterwards just behind it.

    Raises:
        ValueError: it is cut short or damaged, or holds what no state dict needs.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                break
            if opcode.name not in _ACTS:
                raise ValueError(f"its pickle has the instruction {opcode.name}, which no state dict needs")
            _ACTS[opcode.name](machine, argument)
        return machine.pop()
    except (LookupError, TypeError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged before byte {content.tell():,}") from error


class _Machine:
    """The stack, the marks on it, and what was put aside."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self, _: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def remember(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.push(self.memo[place])

    def make_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def fill_dict(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("its pickle sets an item of what is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):
                raise ValueError("its pickle has a dict whose keys are neither texts nor numbers")
            target[key] = value

    def fill_list(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("its pickle appends to what is not a list")
        self.stack[-1].extend(items)

    def set_state(self, _: Any) -> None:
        """What an OrderedDict has as attributes, such as `_metadata`, is left out."""
        state = self.pop()
        if type(state) is not dict or type(self.stack[-1]) is not dict:
            raise ValueError("its pickle sets the state of an object")

    def name(self, module: Any, name: Any) -> None:
        if (
            type(module) is not str or type(name) is not str
        ):  # nested deeply enough, it could not even be shown
            raise ValueError("its pickle names something by what is not a text")
        found = _NAMES.get((module, name))
        if found is None:
            raise ValueError(f"its pickle names {module[:60]}.{name[:60]}, which is no part of a state dict")
        self.push(found)

    def name_from_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def point_to_storage(self, _: Any) -> None:
        self.push(_read_storage(self.pop()))

    def call(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        if type(function) is not _Function or type(arguments) is not tuple:
            raise ValueError("its pickle calls what is no function of a state dict")
        self.push(_rebuild(function, arguments))


def _read_storage(pointer: Any) -> Storage:
    """Of `("storage", kind, key, device, count)`; the older form has a sixth part."""
    if type(pointer) is not tuple or len(pointer) not in (5, 6):
        raise ValueError("its pickle points to something that is not a storage")
    tag, kind, key, _, count, *view = pointer
    right = type(tag) is str and tag == "storage" and type(kind) is _Kind and type(key) is str
    if not right or type(count) is not int or count < 0:
        raise ValueError("its pickle points to something that is not a storage")
    if view and view[0] is not None:
        raise ValueError(f"its storage {key[:40]} is a view of another one")
    return Storage(key, kind.dtype, count)


def _rebuild(function: _Function, arguments: tuple[Any, ...]) -> Any:
    if function is _Function.ORDERED_DICT:
        if arguments:
            raise ValueError("its pickle makes an OrderedDict in a way that PyTorch does not")
        return {}
    if function is _Function.PARAMETER:
        if not arguments or type(arguments[0]) is not StoredTensor:
            raise ValueError("its pickle makes a parameter of what is not a tensor")
        return arguments[0]
    if len(arguments) not in (6, 7) or type(arguments[0]) is not Storage:
        raise ValueError("its pickle makes a tensor of what is not a storage")
    return _check_tensor(StoredTensor(*arguments[:4]))


def _check_tensor(tensor: StoredTensor) -> StoredTensor:
    """Makes sure that each of the tensor's numbers is inside its storage, and that it has no more than that holds."""
    storage, offset, shape, strides = tensor
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise ValueError("its pickle has a tensor without a shape")
    numbers = (offset, *shape, *strides)
    if len(shape) > _MAX_AXES or any(type(each) is not int or each < 0 for each in numbers):
        raise ValueError("its pickle has a tensor of an impossible shape")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if count > storage.size or (count and last >= storage.size):
        raise ValueError(
            f"a tensor claims {count:,} numbers, and its storage {storage.key[:40]} has {storage.size:,}"
        )
    return tensor


_PUSHED = (
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "NONE"
)  # fmt: skip
_ACTS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, length: None,
    "MARK": _Machine.mark,
    **dict.fromkeys(_PUSHED, _Machine.push),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "SETITEM": lambda machine, _: machine.fill_dict([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.fill_dict(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.fill_list([machine.pop()]),
    "APPENDS": lambda machine, _: machine.fill_list(machine.pop_to_mark()),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": lambda machine, both: machine.name(*both.split(" ", 1)),
    "STACK_GLOBAL": _Machine.name_from_stack,
    "BINPERSID": _Machine.point_to_storage,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.set_state,
}
"""An instruction, by the name that `pickletools` gives it → what it does."""
