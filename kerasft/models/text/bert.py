"""BERT: how its presets name their sizes and tensors, and where keras-hub's `BertBackbone` keeps them.

Source: Devlin et al. 2019, arXiv:1810.04805.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kerasft.models.text.encoder_family import EncoderFamily, LayerNames
from kerasft.models.text.families import MaskedHeadNames
from kerasft.models.text.sizes import EncoderSizes


@dataclass(frozen=True)
class BertSizes(EncoderSizes):
    """A BERT's sizes, by the names of keras-hub's `BertBackbone`."""

    num_segments: int = 2

    def count_parameters(self) -> int:
        """How many weights such a BERT has, its pooler included."""
        hidden = self.hidden_dim
        return super().count_parameters() + self.num_segments * hidden + hidden * hidden + hidden


class BertFamily(EncoderFamily):
    """BERT, and what was trained in its shape: MiniLM, BGE, E5."""

    name, title = "bert", "BERT"
    hub_class, hub_tokenizer, hub_module = "BertBackbone", "BertTokenizer", "bert"
    hub_masked_lm = "BertMaskedLM"
    model_types = ("bert",)
    inputs = ("token_ids", "segment_ids", "padding_mask")
    sizes_class = BertSizes
    size_names: ClassVar = {
        "vocabulary_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "hidden_dim": "hidden_size",
        "intermediate_dim": "intermediate_size",
        "max_sequence_length": "max_position_embeddings",
        "num_segments": "type_vocab_size",
    }
    layer_names = LayerNames(
        folder="encoder.layer",
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        attention_output="attention.output.dense",
        attention_layer_norm="attention.output.LayerNorm",
        feedforward_intermediate="intermediate.dense",
        feedforward_output="output.dense",
        feedforward_layer_norm="output.LayerNorm",
    )
    masked_head_names = MaskedHeadNames(
        dense="cls.predictions.transform.dense",
        layer_norm="cls.predictions.transform.LayerNorm",
        bias="cls.predictions.bias",
        decoder="cls.predictions.decoder.weight",
    )
    has_pooler = True
    activation_name = "hidden_act"
    activations = ("gelu", "gelu_new", "gelu_python", "gelu_pytorch_tanh")
    exact_gelu = False  # as keras-hub's

    def find_embeddings(self, backbone: Any) -> dict[str, Any]:
        return {
            "token": backbone.get_layer("token_embedding").embeddings,
            "position": backbone.get_layer("position_embedding").position_embeddings,
            "segment": backbone.get_layer("segment_embedding").embeddings,
        }

    def pick_features(self, outputs: Any, *, pooled: bool) -> Any:
        return outputs["pooled_output" if pooled else "sequence_output"]


FAMILY = BertFamily()
