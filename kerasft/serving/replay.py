"""Run as a file of its own in a clean process: loads a SavedModel with TensorFlow alone and answers raw examples.

usage: replay.py SAVED_MODEL EXAMPLES.json ANSWERS.npz
       replay.py SAVED_MODEL CALLS.json ANSWERS.npz SIGNATURE

Written so that old releases of Python and TensorFlow run it too: an export must answer there as well.
"""

import base64
import json
import platform
import sys
import time


def widen(parts):
    """Batches' answers, filled up to the widest where they are rows of different lengths."""
    import numpy as np

    widths = [part.shape[1] for part in parts if part.ndim >= 2]
    if not widths:
        return parts
    fill = b"" if parts[0].dtype == object else 0
    deeper = [(0, 0)] * (parts[0].ndim - 2)
    spaces = [[(0, 0), (0, max(widths) - width), *deeper] for width in widths]
    return [np.pad(part, space, constant_values=fill) for part, space in zip(parts, spaces)]  # noqa: B905 (old Pythons)


def decode_columns(columns):
    """By input's name: texts and files, which are base64 in JSON, as bytes; numbers as they are."""
    return {
        name: [base64.b64decode(value) if isinstance(value, str) else value for value in values]
        for name, values in columns.items()
    }


def ask(serve, columns):
    """A signature's answers by name, (examples, ...), to raw inputs by name, in batches of up to 64."""
    import numpy as np
    import tensorflow as tf

    takes = serve.structured_input_signature[1]
    parts: dict = {}
    for start in range(0, max(len(values) for values in columns.values()), 64):
        fed = {
            name: tf.constant(values[start : start + 64], takes[name].dtype)
            for name, values in columns.items()
        }
        for name, value in serve(**fed).items():
            parts.setdefault(name, []).append(value.numpy())
    return {name: decode_array(np.concatenate(widen(values))) for name, values in parts.items()}


def decode_array(array):
    """UTF-8 as text; numbers as they are."""
    import numpy as np

    if array.dtype != object:
        return array
    return np.array([value.decode("utf-8") for value in array.ravel()], str).reshape(array.shape)


def ask_whole(serve, calls):
    """A signature's answers, `NUMBER.NAME`, to calls with all of their inputs, each a value or a list of some."""
    import tensorflow as tf

    takes = serve.structured_input_signature[1]
    answers = {}
    for number, call in enumerate(calls):
        fed = {}
        for name, value in call.items():
            is_list, is_text = isinstance(value, list), takes[name].dtype == tf.string
            values = [base64.b64decode(each) if is_text else each for each in (value if is_list else [value])]
            fed[name] = tf.constant(values if is_list else values[0], takes[name].dtype)
        for name, answer in serve(**fed).items():
            answers[f"{number}.{name}"] = decode_array(answer.numpy())
    return answers


def main(saved_model: str, examples: str, answers: str, signature: str = "") -> None:
    """Answers the examples, a JSON object: input's name to a list of raw values; or a signature's calls, a list of
    such objects."""
    # TensorFlow imports Keras where it finds it; without it, it starts in two thirds of the time
    sys.modules["keras"] = None  # type: ignore[assignment]
    import numpy as np
    import tensorflow as tf

    with open(examples, encoding="utf-8") as file:
        questions = json.load(file)
    began = time.perf_counter()
    loaded_model = tf.saved_model.load(saved_model)
    serve = loaded_model.signatures[signature or "serving_default"]
    load_seconds = time.perf_counter() - began
    arrays = ask_whole(serve, questions) if signature else ask(serve, decode_columns(questions))
    foreign = ("kerasft", "keras_hub", "tensorflow_text")
    loaded = sorted(name for name in sys.modules if name.split(".")[0] in foreign)
    if loaded:
        raise SystemExit("the process was not clean: it imported {}".format(", ".join(loaded[:3])))
    np.savez(
        answers,
        tensorflow=tf.__version__,
        python=platform.python_version(),
        load_seconds=load_seconds,
        **arrays,
    )


if __name__ == "__main__":
    main(*sys.argv[1:5])
