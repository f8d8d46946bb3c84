"""RoBERTa: a BERT without segments, its positions counted from 2, with a byte-level BPE tokenizer.

What stands for a whole text is the last output of its first token, <s>.

Source: Liu et al. 2019, arXiv:1907.11692.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from kerasft.errors import PresetError
from kerasft.files import write_json
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.bert import BertFamily
from kerasft.models.text.encoder_family import EncoderFamily
from kerasft.models.text.families import MaskedHeadNames
from kerasft.models.text.hugging_face import check_tensors, read_tensor_headers, read_tensors
from kerasft.models.text.sizes import FETCH, EncoderSizes, is_hub_form
from kerasft.text.tokenizers.base import ABSENT, Tokenizer, UnitTokenizer

SPECIAL_TOKENS = {"begin": "<s>", "end": "</s>", "padding": "<pad>", "unknown": "<unk>", "mask": "<mask>"}
"""What a vocabulary has → how it is spelled, where the tokenizer's files do not say it."""
ASSETS = "assets/tokenizer"
_SEGMENTS = "embeddings.token_type_embeddings.weight"


class RobertaFamily(EncoderFamily):
    """RoBERTa, and what was trained in its shape."""

    name, title = "roberta", "RoBERTa"
    hub_class, hub_tokenizer, hub_module = "RobertaBackbone", "RobertaTokenizer", "roberta"
    hub_masked_lm = "RobertaMaskedLM"
    model_types = ("roberta",)
    inputs = ("token_ids", "padding_mask")
    sizes_class = EncoderSizes
    size_names: ClassVar = {
        name: foreign for name, foreign in BertFamily.size_names.items() if name != "num_segments"
    }
    layer_names = BertFamily.layer_names
    masked_head_names = MaskedHeadNames(
        dense="lm_head.dense",
        layer_norm="lm_head.layer_norm",
        bias="lm_head.bias",
        decoder="lm_head.decoder.weight",
    )
    has_pooler = False
    activation_name = "hidden_act"
    activations = ("gelu",)
    exact_gelu = True
    layer_norm_epsilon = 1e-5
    position_offset = 2

    # --- the tokenizer ----------------------------------------------------------------------------------------

    def load_tokenizer(self, folder: Path) -> Tokenizer:
        from kerasft.text.tokenizers.bpe_files import read_byte_bpe
        from kerasft.text.tokenizers.byte_bpe import ByteBpe

        vocabulary = read_byte_bpe(folder / ASSETS if is_hub_form(folder) else folder)
        spelled = [token.decode("utf-8", "replace") for token in vocabulary.tokens]
        return ByteBpe(name_specials(vocabulary, spelled, folder))

    def load_unit_tokenizer(self, folder: Path, *, split_characters: bool) -> UnitTokenizer:
        raise PresetError(
            f"The tokenizer of a {self.title} does not say where words stand in a text, which this task needs.",
            where=str(folder),
            fix="Choose a preset with a WordPiece tokenizer: see `kerasft presets list`.",
        )

    def save_tokenizer(self, tokenizer: Any, folder: Path) -> None:
        from kerasft.text.tokenizers.bpe_writing import write_two_files

        (folder / ASSETS).mkdir(parents=True, exist_ok=True)
        write_two_files(tokenizer.vocabulary, folder / ASSETS)
        self.describe_tokenizer(folder, {"sequence_length": None, "add_prefix_space": False})

    def describe_tokenizer(self, folder: Path, config: dict[str, Any]) -> None:
        """Writes keras-hub's tokenizer.json, by which it makes the tokenizer of the files in `assets/`.

        Args:
            folder: the preset's.
            config: of keras-hub's class, besides what all of its tokenizers have.
        """
        name = f"{self.hub_module}_tokenizer"
        number = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "int32"}}
        common = {
            "name": name,
            "trainable": True,
            "dtype": {**number, "registered_name": None},
            "config_file": "tokenizer.json",
        }
        write_json(
            folder / "tokenizer.json",
            {
                "module": f"keras_hub.src.models.{self.hub_module}.{name}",
                "class_name": self.hub_tokenizer,
                "config": {**common, **config},
                "registered_name": f"keras_hub>{self.hub_tokenizer}",
            },
        )

    # --- weights ----------------------------------------------------------------------------------------------

    def read_sizes(self, folder: Path) -> EncoderSizes:
        sizes = super().read_sizes(folder)
        if is_hub_form(folder):
            return sizes
        path, positions = folder / "config.json", sizes.max_sequence_length - self.position_offset
        padding = read_json(path).get("pad_token_id", self.position_offset - 1)
        if padding != self.position_offset - 1:
            raise PresetError(
                f"pad_token_id is {padding!r:.20}; positions of a {self.title} are counted from the one after it, "
                f"and kerasft reads presets in which it is {self.position_offset - 1}.",
                where=str(path),
                fix=FETCH,
            )
        if positions < 1:
            raise PresetError(
                f"max_position_embeddings is {sizes.max_sequence_length}, of which the first "
                f"{self.position_offset} stand for no position.",
                where=str(path),
                fix=FETCH,
            )
        return replace(sizes, max_sequence_length=positions)

    def check_weights(self, folder: Path, sizes: EncoderSizes, *, needs_pooler: bool) -> None:
        super().check_weights(folder, sizes, needs_pooler=needs_pooler)
        if is_hub_form(folder):
            return
        tensors = read_tensor_headers(folder)
        for name, tensor in tensors.items():
            if name.endswith(_SEGMENTS):
                rows = tensor.shape[0] if tensor.shape else 0
                check_tensors(folder, tensors, {_SEGMENTS: (max(rows, 1), sizes.hidden_dim)})

    def load_hugging_face_weights(self, backbone: Any, folder: Path) -> None:
        super().load_hugging_face_weights(backbone, folder)
        if any(name.endswith(_SEGMENTS) for name in read_tensor_headers(folder)):
            # one for all tokens, which keras-hub's form has no place for: it is added to each position's
            positions = self.find_embeddings(backbone)["position"]
            for _, value in read_tensors(folder, [_SEGMENTS]):
                positions.assign(positions.numpy() + value[0])

    def find_embeddings(self, backbone: Any) -> dict[str, Any]:
        both = backbone.get_layer("embeddings")
        return {
            "token": both.token_embedding.embeddings,
            "position": both.position_embedding.position_embeddings,
        }

    def pick_features(self, outputs: Any, *, pooled: bool) -> Any:
        return outputs[:, 0] if pooled else outputs


def name_specials(vocabulary: Any, spelled: Sequence[str], folder: Path) -> Any:
    """A vocabulary with all special tokens of a RoBERTa, two of which stand around each text.

    Args:
        vocabulary: with fields as in `SPECIAL_TOKENS`.
        spelled: its tokens.
        folder: the preset's, for messages.

    Raises:
        PresetError: it lacks one that is needed.
    """
    special = {spelled[place]: place for place in vocabulary.special}
    found = {
        field: getattr(vocabulary, field)
        if getattr(vocabulary, field) != ABSENT
        else special.get(name, ABSENT)
        for field, name in SPECIAL_TOKENS.items()
    }
    missing = [SPECIAL_TOKENS[field] for field in ("begin", "end") if found[field] == ABSENT]
    if missing:
        raise PresetError(
            f"The tokenizer lacks {' and '.join(missing)}, which stand around each text.",
            where=str(folder),
            fix=FETCH,
        )
    return replace(vocabulary, **found, adds_begin=True, adds_end=True)


FAMILY = RobertaFamily()
