"""A decoder of this project's: rotary positions, RMS norms, normalised queries and keys, and squared ReLU.

What a layer adds begins at 0, so that a new net begins as its embeddings alone. It is published as a functional model
of core Keras layers and operations, and as a folder in a form of its own: config.json and safetensors.

Source: So et al. 2021, arXiv:2109.08668 (squared ReLU); Henry et al. 2020, arXiv:2010.04245 (normalised queries and
keys); Zhang et al. 2019, arXiv:1901.09321 (outputs that begin at 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.files import write_json
from kerasft.models.text.decoders.families import DecoderFamily, refuse_unless, split_width
from kerasft.models.text.decoders.sizes import DecoderSizes

if TYPE_CHECKING:
    from kerasft.models.text.decoders.weights import Part, Stored

MODEL_TYPE = "kerasft_decoder"
_FIXED: dict[str, Any] = {
    "rope_scaling": None,
    "norm": "rms",
    "activation": "relu_squared",
    "biases": False,
    "qk_norm": True,
    "tied": True,
    "zero_outputs": True,
}
_FREE = (
    "vocabulary_size",
    "layers",
    "heads",
    "kv_heads",
    "head_size",
    "width",
    "feedforward",
    "context",
    "rope_base",
    "norm_epsilon",
)


class OwnFamily(DecoderFamily):
    """The decoder of this project."""

    name, title = "own", "kerasft's own decoder"
    model_types = (MODEL_TYPE,)

    def make_sizes(
        self,
        *,
        vocabulary_size: int,
        layers: int,
        width: int,
        heads: int,
        context: int,
        kv_heads: int | None = None,
        feedforward: int | None = None,
    ) -> DecoderSizes:
        return DecoderSizes(
            vocabulary_size=vocabulary_size,
            layers=layers,
            heads=heads,
            kv_heads=heads if kv_heads is None else kv_heads,
            head_size=split_width(width, heads),
            width=width,
            feedforward=4 * width if feedforward is None else feedforward,
            context=context,
            rope_base=10000.0,
            norm_epsilon=1e-6,
            **_FIXED,
        )

    def describe(self, sizes: DecoderSizes) -> dict[str, Any]:
        return {"model_type": MODEL_TYPE, **asdict(sizes)}

    def read_hugging_face_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        for name, value in _FIXED.items():
            refuse_unless(config[name] == value, f"{name} is {config[name]!r:.60}")
        refuse_unless(config["rope_base"] > 0, "rope_base is 0")
        return DecoderSizes(**{name: config[name] for name in _FREE}, **_FIXED)

    def list_stored(self, sizes: DecoderSizes, names: Sequence[str]) -> dict[str, list[Stored]]:
        from kerasft.models.text.decoders.weights import Stored

        width, heads = sizes.width, sizes.heads * sizes.head_size
        shapes: dict[str, tuple[int, ...]] = {"embeddings/token": (sizes.vocabulary_size, width)}
        for index in range(sizes.layers):
            shapes |= {
                f"{index}/query_key_value/kernel": (width, sizes.merged),
                f"{index}/attention_output/kernel": (heads, width),
                f"{index}/feedforward_intermediate/kernel": (width, sizes.feedforward),
                f"{index}/feedforward_output/kernel": (sizes.feedforward, width),
                f"{index}/attention_layer_norm/gamma": (width,),
                f"{index}/feedforward_layer_norm/gamma": (width,),
            }
        shapes["final_norm/gamma"] = (width,)
        return {key: [Stored(key.replace("/", "."), shape)] for key, shape in shapes.items()}

    def build_public(self, sizes: DecoderSizes) -> Any:
        from kerasft.models.text.decoders.public_own import build_public_decoder

        return build_public_decoder(sizes)

    def list_public(self, public: Any, sizes: DecoderSizes) -> dict[str, list[Part]]:
        from kerasft.models.text.decoders.weights import Part

        found = {
            "embeddings/token": [Part(public.get_layer("token_embedding").embeddings)],
            "final_norm/gamma": [Part(public.get_layer("final_norm").scale)],
        }
        for index in range(sizes.layers):
            for norm in ("attention_layer_norm", "feedforward_layer_norm"):
                found[f"{index}/{norm}/gamma"] = [Part(public.get_layer(f"{norm}_{index}").scale)]
            for dense in (
                "query_key_value",
                "attention_output",
                "feedforward_intermediate",
                "feedforward_output",
            ):
                found[f"{index}/{dense}/kernel"] = [Part(public.get_layer(f"{dense}_{index}").kernel)]
        return found

    def save_preset(self, model: Any, public: Any, sizes: DecoderSizes, folder: Path) -> None:
        from safetensors.numpy import save_file

        from kerasft.models.text.decoders.weights import compute_values

        tensors = {key.replace("/", "."): value for key, value in compute_values(model)}
        save_file(tensors, folder / "model.safetensors")
        write_json(folder / "config.json", self.describe(sizes))


FAMILY = OwnFamily()
