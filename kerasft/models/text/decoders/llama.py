"""Llama: rotary positions, RMS norms, a gated feed-forward, fewer heads of keys than of queries, no biases.

Source: Touvron et al. 2023, arXiv:2302.13971; nets of its shape, such as SmolLM, are of this family too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.files import write_json
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.decoders.families import CONTEXT_KEY, DecoderFamily, refuse_unless, split_width
from kerasft.models.text.decoders.sizes import DecoderSizes, RopeScaling

if TYPE_CHECKING:
    from kerasft.models.text.decoders.weights import Part, Stored

_HUB_CONTEXT = 2048
"""The first Llama's: keras-hub's config does not say it."""
_SCALING = {
    "factor": "factor",
    "low_factor": "low_freq_factor",
    "high_factor": "high_freq_factor",
    "original_context": "original_max_position_embeddings",
}
"""`RopeScaling`'s name → Hugging Face's."""
_HUB_SCALING = {
    "factor": "rope_frequency_adjustment_factor",
    "low_factor": "rope_low_freq_factor",
    "high_factor": "rope_high_freq_factor",
    "original_context": "rope_pretraining_sequence_length",
}
"""The same → keras-hub's."""
_ROUND = 32
"""A new net's feed-forward is a multiple of it."""


class LlamaFamily(DecoderFamily):
    """Llama and nets of its kind."""

    name, title = "llama", "Llama"
    model_types = ("llama",)
    hub_class, hub_module = "LlamaBackbone", "llama"
    hub_keys = (
        "vocabulary_size",
        "num_layers",
        "num_query_heads",
        "num_key_value_heads",
        "hidden_dim",
        "intermediate_dim",
        "rope_max_wavelength",
        "rope_position_scaling_factor",
        *_HUB_SCALING.values(),
        "layer_norm_epsilon",
        "tie_word_embeddings",
    )
    architectures = ("llama",)

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
        rope_base: float = 10000.0,
        rope_scaling: RopeScaling | None = None,
        norm_epsilon: float = 1e-5,
        tied: bool = True,
    ) -> DecoderSizes:
        if feedforward is None:  # three matrices take as many weights as GPT-2's two of 4 · width
            feedforward = -(-8 * width // (3 * _ROUND)) * _ROUND
        return DecoderSizes(
            vocabulary_size=vocabulary_size,
            layers=layers,
            heads=heads,
            kv_heads=heads if kv_heads is None else kv_heads,
            head_size=split_width(width, heads),
            width=width,
            feedforward=feedforward,
            context=context,
            rope_base=float(rope_base),
            rope_scaling=rope_scaling,
            norm="rms",
            norm_epsilon=float(norm_epsilon),
            activation="silu_gated",
            biases=False,
            tied=tied,
        )

    def describe(self, sizes: DecoderSizes) -> dict[str, Any]:
        scaling = sizes.rope_scaling
        return {
            "model_type": "llama",
            "vocab_size": sizes.vocabulary_size,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.kv_heads,
            "hidden_size": sizes.width,
            "intermediate_size": sizes.feedforward,
            "max_position_embeddings": sizes.context,
            "rope_theta": sizes.rope_base,
            "rms_norm_eps": sizes.norm_epsilon,
            "hidden_act": "silu",
            "tie_word_embeddings": sizes.tied,
            **({} if scaling is None else {"rope_scaling": _describe_scaling(scaling)}),
        }

    def read_hugging_face_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        rope = config.get("rope_parameters") or {}
        activation = config.get("hidden_act", "silu")
        refuse_unless(activation == "silu", f"hidden_act is {activation!r:.60}")
        for name in ("attention_bias", "mlp_bias"):
            refuse_unless(not config.get(name), f"{name} is true")
        width, heads = config["hidden_size"], config["num_attention_heads"]
        head_size = config.get("head_dim") or split_width(width, heads)
        refuse_unless(head_size * heads == width, f"head_dim is {head_size!r:.60}")
        return self.make_sizes(
            vocabulary_size=config["vocab_size"],
            layers=config["num_hidden_layers"],
            width=width,
            heads=heads,
            context=config["max_position_embeddings"],
            kv_heads=config.get("num_key_value_heads"),
            feedforward=config["intermediate_size"],
            rope_base=rope.get("rope_theta", config.get("rope_theta", 10000.0)),
            rope_scaling=_read_scaling(config.get("rope_scaling") or rope),
            norm_epsilon=config.get("rms_norm_eps", 1e-6),
            tied=bool(config.get("tie_word_embeddings", False)),
        )

    def read_hub_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        factor = config.get("rope_position_scaling_factor", 1.0)
        refuse_unless(factor == 1.0, f"rope_position_scaling_factor is {factor!r:.60}")
        scaling = None
        if config.get(_HUB_SCALING["factor"]) is not None:
            scaling = RopeScaling(**{name: config[key] for name, key in _HUB_SCALING.items()})
        return self.make_sizes(
            vocabulary_size=config["vocabulary_size"],
            layers=config["num_layers"],
            width=config["hidden_dim"],
            heads=config["num_query_heads"],
            context=config.get(CONTEXT_KEY, _HUB_CONTEXT),
            kv_heads=config["num_key_value_heads"],
            feedforward=config["intermediate_dim"],
            rope_base=config["rope_max_wavelength"],
            rope_scaling=scaling,
            norm_epsilon=config["layer_norm_epsilon"],
            tied=bool(config.get("tie_word_embeddings", False)),
        )

    def list_stored(self, sizes: DecoderSizes, names: Sequence[str]) -> dict[str, list[Stored]]:
        prefix = "model." if any(name.startswith("model.") for name in names) else ""
        return _list_parts(
            sizes,
            table=f"{prefix}embed_tokens.weight",
            norm=f"{prefix}norm.weight",
            head="lm_head.weight",
            layer=f"{prefix}layers.{{}}.",
            parts=_HUGGING_FACE,
        )

    def read_gguf_sizes(
        self, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> DecoderSizes:
        width, heads = metadata["llama.embedding_length"], metadata["llama.attention.head_count"]
        size = split_width(width, heads)
        turned = metadata.get("llama.rope.dimension_count", size)
        refuse_unless(turned == size, f"rope.dimension_count is {turned!r:.60}")
        scaling = metadata.get("llama.rope.scaling.type", "none")
        refuse_unless(scaling == "none" and "rope_freqs.weight" not in shapes, "RoPE is scaled")
        return self.make_sizes(
            vocabulary_size=shapes["token_embd.weight"][0],
            layers=metadata["llama.block_count"],
            width=width,
            heads=heads,
            context=metadata["llama.context_length"],
            kv_heads=metadata.get("llama.attention.head_count_kv"),
            feedforward=metadata["llama.feed_forward_length"],
            rope_base=metadata.get("llama.rope.freq_base", 10000.0),
            norm_epsilon=metadata["llama.attention.layer_norm_rms_epsilon"],
            tied="output.weight" not in shapes,
        )

    def list_gguf(self, sizes: DecoderSizes) -> dict[str, list[Stored]]:
        """Each weight's key → its parts in a GGUF file."""
        stored = _list_parts(
            sizes,
            table="token_embd.weight",
            norm="output_norm.weight",
            head="output.weight",
            layer="blk.{}.",
            parts=_GGUF,
        )
        for index in range(sizes.layers):
            query, key, value = stored[f"{index}/query_key_value/kernel"]
            stored[f"{index}/query_key_value/kernel"] = [
                query._replace(interleaved=sizes.heads),
                key._replace(interleaved=sizes.kv_heads),
                value,
            ]
        return stored

    def build_public(self, sizes: DecoderSizes) -> Any:
        import keras_hub

        scaling = {} if sizes.rope_scaling is None else asdict(sizes.rope_scaling)
        backbone = keras_hub.models.LlamaBackbone(
            vocabulary_size=sizes.vocabulary_size,
            num_layers=sizes.layers,
            num_query_heads=sizes.heads,
            num_key_value_heads=sizes.kv_heads,
            hidden_dim=sizes.width,
            intermediate_dim=sizes.feedforward,
            rope_max_wavelength=sizes.rope_base,
            **{_HUB_SCALING[name]: value for name, value in scaling.items()},
            layer_norm_epsilon=sizes.norm_epsilon,
            dropout=0.0,
            tie_word_embeddings=sizes.tied,
            dtype="float32",
            name="llama_backbone",
        )
        # keras-hub 0.32 takes this argument and does not write it down: a saved model would open untied
        describe = backbone.get_config
        backbone.get_config = lambda: {**describe(), "tie_word_embeddings": sizes.tied}
        return keras_hub.models.LlamaCausalLM(backbone, preprocessor=None)

    def list_public(self, public: Any, sizes: DecoderSizes) -> dict[str, list[Part]]:
        from kerasft.models.text.decoders.weights import Part

        backbone = public.backbone
        found = {
            "embeddings/token": [Part(backbone.token_embedding.embeddings)],
            "final_norm/gamma": [Part(backbone.layer_norm.scale)],
        }
        if not sizes.tied:
            found["head/table"] = [Part(backbone.token_embedding.reverse_embeddings, transposed=True)]
        for index, layer in enumerate(backbone.transformer_layers):
            attention = layer._self_attention_layer
            found |= {
                f"{index}/query_key_value/kernel": [
                    Part(dense.kernel)
                    for dense in (attention._query_dense, attention._key_dense, attention._value_dense)
                ],
                f"{index}/attention_output/kernel": [Part(attention._output_dense.kernel)],
                f"{index}/feedforward_intermediate/kernel": [
                    Part(layer._feedforward_gate_dense.kernel),
                    Part(layer._feedforward_intermediate_dense.kernel),
                ],
                f"{index}/feedforward_output/kernel": [Part(layer._feedforward_output_dense.kernel)],
                f"{index}/attention_layer_norm/gamma": [Part(layer._self_attention_layernorm.scale)],
                f"{index}/feedforward_layer_norm/gamma": [Part(layer._feedforward_layernorm.scale)],
            }
        return found

    def save_preset(self, model: Any, public: Any, sizes: DecoderSizes, folder: Path) -> None:
        public.backbone.save_to_preset(str(folder))
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {**config, CONTEXT_KEY: sizes.context})


def _read_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return None
    refuse_unless(kind == "llama3", f"rope_type is {kind!r:.60}")
    return RopeScaling(**{name: rope[key] for name, key in _SCALING.items()})


def _describe_scaling(scaling: RopeScaling) -> dict[str, Any]:
    return {"rope_type": "llama3", **{key: getattr(scaling, name) for name, key in _SCALING.items()}}


class _Names:
    """What a form calls the parts of a layer."""

    def __init__(
        self, norms: tuple[str, str], attention: tuple[str, str, str, str], mlp: tuple[str, str, str]
    ):
        self.norms, self.attention, self.mlp = norms, attention, mlp


_HUGGING_FACE = _Names(
    ("input_layernorm", "post_attention_layernorm"),
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)
_GGUF = _Names(
    ("attn_norm", "ffn_norm"),
    ("attn_q", "attn_k", "attn_v", "attn_output"),
    ("ffn_gate", "ffn_up", "ffn_down"),
)


def _list_parts(
    sizes: DecoderSizes, *, table: str, norm: str, head: str, layer: str, parts: _Names
) -> dict[str, list[Stored]]:
    """Each weight's key → its parts, under the names of some form; `layer` stands before those of a layer."""
    from kerasft.models.text.decoders.weights import Stored

    width, wide = sizes.width, sizes.feedforward
    query, key = sizes.heads * sizes.head_size, sizes.kv_heads * sizes.head_size

    def matrix(name: str, outputs: int, inputs: int) -> Stored:
        return Stored(f"{name}.weight", (outputs, inputs), transposed=True)

    found = {
        "embeddings/token": [Stored(table, (sizes.vocabulary_size, width))],
        "final_norm/gamma": [Stored(norm, (width,))],
    }
    if not sizes.tied:
        found["head/table"] = [Stored(head, (sizes.vocabulary_size, width))]
    for index in range(sizes.layers):
        before = layer.format(index)
        q, k, v, o = (f"{before}{name}" for name in parts.attention)
        gate, up, down = (f"{before}{name}" for name in parts.mlp)
        first, second = (Stored(f"{before}{name}.weight", (width,)) for name in parts.norms)
        found |= {
            f"{index}/query_key_value/kernel": [
                matrix(q, query, width),
                matrix(k, key, width),
                matrix(v, key, width),
            ],
            f"{index}/attention_output/kernel": [matrix(o, width, query)],
            f"{index}/feedforward_intermediate/kernel": [
                matrix(gate, wide, width),
                matrix(up, wide, width),
            ],
            f"{index}/feedforward_output/kernel": [matrix(down, width, wide)],
            f"{index}/attention_layer_norm/gamma": [first],
            f"{index}/feedforward_layer_norm/gamma": [second],
        }
    return found


FAMILY = LlamaFamily()
