"""Run as a file of its own in a clean process: loads a SavedModel with TensorFlow alone and answers raw examples.

usage: replay.py SAVED_MODEL EXAMPLES.json ANSWERS.npz
"""

import json
import sys


def main(saved_model: str, examples: str, answers: str) -> None:
    """Answers the examples, a JSON list of strings, in batches of up to 64."""
    import numpy as np
    import tensorflow as tf

    with open(examples, encoding="utf-8") as file:
        texts = json.load(file)
    serve = tf.saved_model.load(saved_model).signatures["serving_default"]
    parts: dict = {}
    for start in range(0, len(texts), 64):
        for name, value in serve(text=tf.constant(texts[start : start + 64])).items():
            parts.setdefault(name, []).append(value.numpy())
    loaded = sorted(
        name for name in sys.modules if name.split(".")[0] in ("kerasft", "keras_hub", "tensorflow_text")
    )
    if loaded:
        raise SystemExit(f"the process was not clean: it loaded {', '.join(loaded[:3])}")
    arrays = {name: np.concatenate(values) for name, values in parts.items()}
    np.savez(
        answers,
        tensorflow=tf.__version__,
        **{n: a.astype(str) if a.dtype == object else a for n, a in arrays.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
