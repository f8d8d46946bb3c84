"""GPT-2: learned positions, layer normalisation, gelu, biases, and the head that shares the token embeddings.

Source: Radford et al. 2019, "Language models are unsupervised multitask learners".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.models.text.decoders.families import DecoderFamily, refuse_unless, split_width
from kerasft.models.text.decoders.sizes import DecoderSizes

if TYPE_CHECKING:
    from kerasft.models.text.decoders.weights import Part, Stored

_GELU = ("gelu_new", "gelu_pytorch_tanh")
_EPSILON = 1e-5


class Gpt2Family(DecoderFamily):
    """GPT-2 and nets of its kind."""

    name, title = "gpt2", "GPT-2"
    model_types = ("gpt2",)
    hub_class, hub_module = "GPT2Backbone", "gpt2"
    hub_keys = (
        "vocabulary_size",
        "num_layers",
        "num_heads",
        "hidden_dim",
        "intermediate_dim",
        "max_sequence_length",
    )

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
        if kv_heads not in (None, heads):
            raise ValueError(f"kv_heads is {kv_heads}; a GPT-2 has as many as heads, {heads}")
        return DecoderSizes(
            vocabulary_size=vocabulary_size,
            layers=layers,
            heads=heads,
            kv_heads=heads,
            head_size=split_width(width, heads),
            width=width,
            feedforward=4 * width if feedforward is None else feedforward,
            context=context,
            norm_epsilon=_EPSILON,
        )

    def describe(self, sizes: DecoderSizes) -> dict[str, Any]:
        return {
            "model_type": "gpt2",
            "vocab_size": sizes.vocabulary_size,
            "n_layer": sizes.layers,
            "n_head": sizes.heads,
            "n_embd": sizes.width,
            "n_inner": sizes.feedforward,
            "n_positions": sizes.context,
            "activation_function": _GELU[0],
            "layer_norm_epsilon": sizes.norm_epsilon,
        }

    def read_hugging_face_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        activation = config.get("activation_function", _GELU[0])
        refuse_unless(activation in _GELU, f"activation_function is {activation!r:.60}")
        refuse_unless(config.get("scale_attn_weights", True) is True, "scale_attn_weights is false")
        refuse_unless(
            not config.get("scale_attn_by_inverse_layer_idx"), "scale_attn_by_inverse_layer_idx is true"
        )
        refuse_unless(config.get("tie_word_embeddings", True) is True, "tie_word_embeddings is false")
        epsilon = config.get("layer_norm_epsilon", _EPSILON)
        refuse_unless(epsilon == _EPSILON, f"layer_norm_epsilon is {epsilon!r:.60}")
        return self.make_sizes(
            vocabulary_size=config["vocab_size"],
            layers=config["n_layer"],
            width=config["n_embd"],
            heads=config["n_head"],
            context=config["n_positions"],
            feedforward=config.get("n_inner"),
        )

    def read_hub_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        return self.make_sizes(
            vocabulary_size=config["vocabulary_size"],
            layers=config["num_layers"],
            width=config["hidden_dim"],
            heads=config["num_heads"],
            context=config["max_sequence_length"],
            feedforward=config["intermediate_dim"],
        )

    def list_stored(self, sizes: DecoderSizes, names: Sequence[str]) -> dict[str, list[Stored]]:
        from kerasft.models.text.decoders.weights import Stored

        prefix = "transformer." if any(name.startswith("transformer.") for name in names) else ""
        width, wide = sizes.width, sizes.feedforward
        dense = {
            "query_key_value": ("attn.c_attn", (width, 3 * width)),
            "attention_output": ("attn.c_proj", (width, width)),
            "feedforward_intermediate": ("mlp.c_fc", (width, wide)),
            "feedforward_output": ("mlp.c_proj", (wide, width)),
        }
        stored = {
            "embeddings/token": [Stored(f"{prefix}wte.weight", (sizes.vocabulary_size, width))],
            "embeddings/position": [Stored(f"{prefix}wpe.weight", (sizes.context, width))],
        }
        norms = {"final_norm": f"{prefix}ln_f"}
        for index in range(sizes.layers):
            for key, (name, shape) in dense.items():
                full = f"{prefix}h.{index}.{name}"
                stored[f"{index}/{key}/kernel"] = [Stored(f"{full}.weight", shape)]
                stored[f"{index}/{key}/bias"] = [Stored(f"{full}.bias", shape[1:])]
            for number, half in enumerate(("attention", "feedforward"), 1):
                norms[f"{index}/{half}_layer_norm"] = f"{prefix}h.{index}.ln_{number}"
        for key, name in norms.items():
            stored[f"{key}/gamma"] = [Stored(f"{name}.weight", (width,))]
            stored[f"{key}/beta"] = [Stored(f"{name}.bias", (width,))]
        return stored

    def build_public(self, sizes: DecoderSizes) -> Any:
        import keras_hub

        backbone = keras_hub.models.GPT2Backbone(
            vocabulary_size=sizes.vocabulary_size,
            num_layers=sizes.layers,
            num_heads=sizes.heads,
            hidden_dim=sizes.width,
            intermediate_dim=sizes.feedforward,
            dropout=0.0,
            max_sequence_length=sizes.context,
            dtype="float32",
            name="gpt2_backbone",
        )
        return keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)

    def list_public(self, public: Any, sizes: DecoderSizes) -> dict[str, list[Part]]:
        from kerasft.models.text.decoders.weights import Part

        backbone = public.backbone
        found = {
            "embeddings/token": [Part(backbone.token_embedding.embeddings)],
            "embeddings/position": [Part(backbone.position_embedding.position_embeddings)],
        }
        norms = {"final_norm": backbone.layer_norm}
        for index, layer in enumerate(backbone.transformer_layers):
            attention = layer._self_attention_layer
            dense = {
                "query_key_value": [attention._query_dense, attention._key_dense, attention._value_dense],
                "attention_output": [attention._output_dense],
                "feedforward_intermediate": [layer._feedforward_intermediate_dense],
                "feedforward_output": [layer._feedforward_output_dense],
            }
            for key, layers in dense.items():
                found[f"{index}/{key}/kernel"] = [Part(each.kernel) for each in layers]
                found[f"{index}/{key}/bias"] = [Part(each.bias) for each in layers]
            norms[f"{index}/attention_layer_norm"] = layer._self_attention_layer_norm
            norms[f"{index}/feedforward_layer_norm"] = layer._feedforward_layer_norm
        for key, norm in norms.items():
            found |= {f"{key}/gamma": [Part(norm.gamma)], f"{key}/beta": [Part(norm.beta)]}
        return found

    def save_preset(self, model: Any, public: Any, sizes: DecoderSizes, folder: Path) -> None:
        public.backbone.save_to_preset(str(folder))


FAMILY = Gpt2Family()
