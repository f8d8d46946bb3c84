"""A number for two texts, by a text encoder that reads both."""

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayRows, build_cache
from kerasft.metrics.tally import Tally
from kerasft.models.forward import make_forward
from kerasft.models.text import heads
from kerasft.tasks.served import STATUS_LINE, Served
from kerasft.tasks.text_encoder import TextEncoderTask
from kerasft.tasks.text_feed import TextFeed
from kerasft.text.encoding import TextEncoder
from kerasft.text.raw import refuse_texts


class ScoreTally(Tally):
    """Keeps the squared error of each example."""

    def __init__(self):
        self.errors = {}

    def __len__(self):
        return len(self.errors)

    def add(self, numbers, outputs, references):
        errors = np.subtract([output["score"] for output in outputs], references) ** 2
        self.errors |= zip(numbers, errors.tolist(), strict=True)

    def merge(self, other):
        self.errors |= other.errors

    def compute_figures(self, *, bootstrap_samples=0, seed=0):
        return {"error": {"value": float(np.sqrt(np.mean(sorted(self.errors.values()))))}}


class PairScore(TextEncoderTask):
    """A number for two texts."""

    pooling, num_outputs = "mean", 1

    def __init__(self, config, model_config, label_names, preset):
        super().__init__(model_config, label_names, preset)
        self.config = config
        self.encoder = TextEncoder(self.tokenizer, model_config.max_length, self.family.inputs)

    @property
    def encoder_fingerprint(self):
        return self.encoder.fingerprint

    def encode(self, examples):
        texts = [[example[name] for example in examples] for name in ("first", "second")]
        pairs = self.encoder.encode_pairs(*texts)
        firsts = np.array([first for _, first in pairs], np.int32)
        columns = {"token_ids": [ids for ids, _ in pairs], "first_length": firsts}
        if examples and "score" in examples[0]:
            columns["score"] = np.array([example["score"] for example in examples], np.float32)
        return columns

    def make_feed(self, examples):
        return TextFeed(ArrayRows(self.encode(examples)), self.encoder, in_memory=True)

    def open_feed(self, split, folder, fingerprint, progress):
        chunks = (self.encode(rows) for rows in split.iterate(1024))
        key = f"{fingerprint} {self.encoder_fingerprint}"
        return TextFeed(build_cache(folder / split.name, key, chunks, progress), self.encoder, "score")

    def loss(self):
        return keras.losses.MeanSquaredError()

    def build_step(self, model, *, published=True):
        forward = make_forward(model)
        return lambda inputs, labels: {"score": forward(inputs)[:, 0]}

    def decode(self, outputs):
        return [{"score": float(output["score"])} for output in outputs]

    def open_tally(self):
        return ScoreTally()

    def make_right_output(self, reference):
        return {"score": reference}

    def serve(self, model):
        fast, length = heads.accelerate_classifier(model, pooling=self.pooling), self.model_config.max_length

        def measure(answers, outputs):
            differences = np.abs(answers["score"] - [output["score"] for output in outputs])
            return differences, differences < 1e-4

        return Served(
            module=PairModule(fast, self.tokenizer, length),
            takes="`serving_default` takes `first` and `second`, batches of UTF-8 strings, and returns",
            limits=f"Of pairs of more than {length} tokens the longer text is cut first.",
            returns=[STATUS_LINE, "- `score`: float32 (batch,)."],
            probes=[{"first": "", "second": "x" * 200}, {"first": "café", "second": b"no \xff UTF-8"}],
            measure=measure,
        )


class PairModule(tf.Module):
    """Two batches of strings → scores."""

    def __init__(self, model, tokenizer, length):
        super().__init__()
        self.weights, self._tokenizer = [variable.value for variable in model.weights], tokenizer
        self._ask = lambda first, second: model(tokenizer.encode(first, length, second), training=False)[:, 0]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name) for name in ("first", "second")])
    def serving_default(self, first, second):
        (first, status), (second, other) = refuse_texts(first), refuse_texts(second)
        status = tf.where(tf.equal(status, ""), other, status)
        return {"score": tf.where(tf.equal(status, ""), self._ask(first, second), 0.0), "status": status}

    @property
    def signatures(self):
        return {"serving_default": self.serving_default}


TaskClass = PairScore
