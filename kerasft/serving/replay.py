"""Run as a file of its own in a clean process: loads a SavedModel with TensorFlow alone and answers raw examples.

usage: replay.py SAVED_MODEL EXAMPLES.json ANSWERS.npz

Written so that old releases of Python and TensorFlow run it too: an export must answer there as well.
"""

import json
import platform
import sys
import time


def main(saved_model: str, examples: str, answers: str) -> None:
    """Answers the examples, a JSON list of strings, in batches of up to 64."""
    import numpy as np
    import tensorflow as tf

    with open(examples, encoding="utf-8") as file:
        # what a lone surrogate stands for cannot be UTF-8
        texts = [text.encode("utf-8", "replace") for text in json.load(file)]
    began = time.perf_counter()
    loaded_model = tf.saved_model.load(saved_model)
    serve = loaded_model.signatures["serving_default"]
    load_seconds = time.perf_counter() - began
    parts: dict = {}
    for start in range(0, len(texts), 64):
        for name, value in serve(text=tf.constant(texts[start : start + 64])).items():
            parts.setdefault(name, []).append(value.numpy())
    foreign = ("kerasft", "keras_hub", "tensorflow_text")
    loaded = sorted(name for name in sys.modules if name.split(".")[0] in foreign)
    if loaded:
        raise SystemExit("the process was not clean: it loaded {}".format(", ".join(loaded[:3])))
    arrays: dict = {name: np.concatenate(values) for name, values in parts.items()}
    for name, array in arrays.items():
        if array.dtype == object:
            arrays[name] = np.array([value.decode("utf-8") for value in array])
    np.savez(
        answers,
        tensorflow=tf.__version__,
        python=platform.python_version(),
        load_seconds=load_seconds,
        **arrays,
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
