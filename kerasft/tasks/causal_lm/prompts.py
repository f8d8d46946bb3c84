"""What stands around a prompt, as it stood around what the model learned from."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.errors import DataError
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.text.chat_templates import ASSISTANT, ChatTemplate, Part
from kerasft.text.generation.prompts import Frame
from kerasft.text.tokenizers.base import ABSENT

_WORDS = ("Zqx7Jvw", "Zqx8Jvw")
"""That no chat template contains."""


def find_frame(encoder: Encoder) -> Frame | None:
    """What stands around prompts: where completions were learned, the token with which a text begins; where
    conversations were, what makes a prompt the user's message. None: what the tokenizer puts before any text.

    Raises:
        DataError: the chat template does not leave the message in one piece.
    """
    if encoder.kind == "completion":
        return Frame(before=() if encoder.begin == ABSENT else (encoder.begin,))
    if encoder.template is None:
        return None
    parts = encoder.template.build_prompt([("user", _WORDS[0])])
    place = _find_part(parts, _WORDS[0])
    head, _, tail = parts[place].text.partition(_WORDS[0])
    before, after = (
        tuple(encoder.encode_parts(some)[0].tolist()) for some in (parts[:place], parts[place + 1 :])
    )
    spaced = f"  {_WORDS[0]}  "
    trims = not any(spaced in part.text for part in encoder.template.build_prompt([("user", spaced)]))
    return Frame(before, head, tail, after, trims)


def find_ends(encoder: Encoder) -> tuple[int, ...]:
    """The tokens at which what the model writes ends: the tokenizer's, and the one behind an answer."""
    ends = [] if encoder.end == ABSENT else [encoder.end]
    if encoder.template is not None:
        ends += _list_ends_of_answers(encoder.template)
    return tuple(dict.fromkeys(ends))


def _list_ends_of_answers(template: ChatTemplate) -> list[int]:
    parts = template.build([("user", _WORDS[0]), (ASSISTANT, _WORDS[1])])
    behind = parts[_find_part(parts, _WORDS[1]) + 1 :]
    return [part.token for part in behind if part.token is not None and part.is_said][:1]


def _find_part(parts: Sequence[Part], word: str) -> int:
    """Which of the parts contains a word.

    Raises:
        DataError: none, or it stands there more than once.
    """
    counts = [part.text.count(word) for part in parts]
    if sum(counts) != 1:
        raise DataError(
            "the chat template repeats a message, or leaves it out: no prompt can be put into it",
            where="generate",
            fix="Train on prompts and completions: task: {input: completion}.",
        )
    return counts.index(1)
