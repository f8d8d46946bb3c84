"""Conversations: messages with a role and a content, of which a model learns what the assistant says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.data.kinds.base import ReadValue
from kerasft.data.kinds.fields import InvalidValue, describe_value, is_missing, parse_text
from kerasft.data.kinds.tagging import zip_lists
from kerasft.data.kinds.text import TextKind
from kerasft.data.sources.json_lines import build_object
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import Payloads
from kerasft.errors import DataError
from kerasft.text.raw import MAX_TEXT_BYTES, check_raw_text

ASSISTANT = "assistant"
"""The role that a model learns."""
_MAX_ROLE = 50
_FIX = (
    'Each conversation is a list: [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].'
)


def parse_messages(value: Any, *, is_answered: bool = True) -> list[tuple[str, str]]:
    """(role, content) of each message of a conversation; keys besides these two are left out.

    Args:
        value: a list of objects, or lists side by side in one object, as Hugging Face keeps them; or either as JSON.
        is_answered: whether the assistant says something in it, or is to answer the last message.

    Raises:
        InvalidValue: it is no such thing, the assistant says nothing in it, or there is nothing to answer.
    """
    if isinstance(value, str):
        value = _read_json(value)
    if isinstance(value, Mapping):
        value = zip_lists(value)
    if not isinstance(value, list | tuple):
        reason = "missing messages" if value is None else "messages are not a list"
        raise InvalidValue(reason, f"found {describe_value(value)}")
    messages = [_parse_message(item, number) for number, item in enumerate(value, 1)]
    if is_answered and not any(role == ASSISTANT and content for role, content in messages):
        roles = ", ".join(dict.fromkeys(role for role, _ in messages))
        raise InvalidValue("no message of the assistant", f"there are {roles}" if roles else "there are none")
    if not is_answered:
        _check_question(messages)
    if sum(len(content) for _, content in messages) > MAX_TEXT_BYTES:
        raise InvalidValue("text too long", f"at most {MAX_TEXT_BYTES:,} bytes are read")
    return messages


def _check_question(messages: Sequence[tuple[str, str]]) -> None:
    """Refuses a conversation of which the assistant cannot answer the last message."""
    if not messages:
        raise InvalidValue("no messages", "the list is empty")
    for number, (_, content) in enumerate(messages, 1):
        if not content:
            raise InvalidValue("message without content", f"message {number} is empty")
    if messages[-1][0] == ASSISTANT:
        raise InvalidValue("nothing to answer", "the last message is the assistant's")


def _read_json(value: str) -> Any:
    try:
        return json.loads(value, object_pairs_hook=build_object)
    except ValueError as error:
        raise InvalidValue("messages are not a list", f"nor JSON of one: {error}") from None
    except RecursionError:
        raise InvalidValue("broken JSON", "nested too deeply") from None


def _parse_message(item: Any, number: int) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise InvalidValue("message is not an object", f"message {number}: found {describe_value(item)}")
    for key in ("role", "content"):
        if not isinstance(item.get(key), str):
            keys = ", ".join(map(str, list(item)[:10]))
            found = f"{key} is {describe_value(item[key])}" if key in item else f"no {key!r}; there is {keys}"
            raise InvalidValue(f"message without a {key}", f"message {number}: {found}")
    role, content = item["role"], item["content"]
    if not role.isprintable() or not 0 < len(role.strip()) <= _MAX_ROLE:
        raise InvalidValue("message without a role", f"message {number}: role is {role[:_MAX_ROLE]!r}")
    if is_missing(content):
        return role, ""
    try:
        return role, parse_text(content)
    except InvalidValue as error:
        raise InvalidValue(error.reason, f"message {number}: {error.detail}".rstrip(": ")) from None


class ChatKind(TextKind):
    """A conversation. Two are the same where all that is said is, whoever says it.

    Stored as the contents, a NUL, and the messages as JSON.
    """

    noun = "conversation"
    column_of = "anything"  # type: ignore[assignment]
    decoded_by_tfds = True
    may_have_note = False

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [_read(value) for value in values]

    def read_missing(self) -> None:  # type: ignore[override]
        return None

    def read_input(self, value: Any) -> Any:
        try:
            return parse_messages(value)
        except InvalidValue as error:
            what = f"{error.reason}: {error.detail}" if error.detail else error.reason
            raise DataError(what, fix=_FIX) from error

    def read_served(self, value: Any) -> Any:
        """The text that a conversation is for a served model: how it is put together is the task's."""
        if refused := check_raw_text(value):
            raise DataError(refused)
        return value.decode("utf-8") if isinstance(value, bytes) else value

    def note_input(self, value: Any) -> str:
        return ""

    def profile(self, payloads: Payloads, rows: np.ndarray) -> dict[str, Any]:
        return {}

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        message = {"role": tfds.features.Text(), "content": tfds.features.Text()}
        return {self.field.name: tfds.features.Sequence(message)}

    def unpack(self, payload: bytes) -> dict[str, Any]:
        messages = json.loads(payload.partition(b"\0")[2])
        return {self.field.name: [{"role": role, "content": content} for role, content in messages]}

    def decode(self, stored: Any) -> Any:
        """(role, content) of each message."""
        columns = [[text.decode("utf-8") for text in stored[name]] for name in ("role", "content")]
        return list(zip(*columns, strict=True))


def _read(value: Any) -> ReadValue | InvalidValue:
    try:
        messages = parse_messages(value)
    except InvalidValue as error:
        return error
    contents = "\n".join(content for _, content in messages)
    stored = json.dumps(messages, ensure_ascii=False, separators=(",", ":"))
    return ReadValue(contents.encode("utf-8") + b"\0" + stored.encode("utf-8"))


KindClass = ChatKind
