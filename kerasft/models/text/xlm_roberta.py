"""XLM-RoBERTa: RoBERTa's net for a hundred languages, with a unigram tokenizer of SentencePiece's.

Source: Conneau et al. 2020, arXiv:1911.02116.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.models.text.roberta import ASSETS, RobertaFamily, name_specials
from kerasft.models.text.sizes import is_hub_form
from kerasft.text.tokenizers.base import Tokenizer


class XlmRobertaFamily(RobertaFamily):
    """XLM-RoBERTa, and what was trained in its shape: multilingual E5, BGE-M3."""

    name, title = "xlm_roberta", "XLM-RoBERTa"
    hub_class, hub_tokenizer, hub_module = "XLMRobertaBackbone", "XLMRobertaTokenizer", "xlm_roberta"
    hub_masked_lm = "XLMRobertaMaskedLM"
    model_types = ("xlm-roberta",)

    def load_tokenizer(self, folder: Path) -> Tokenizer:
        from kerasft.text.tokenizers.unigram import Unigram
        from kerasft.text.tokenizers.unigram_files import read_unigram

        vocabulary = read_unigram(folder / ASSETS if is_hub_form(folder) else folder, is_fairseq=True)
        # one way to break ties, whichever file it came from: a preset that is written gives the ids that it came with
        vocabulary = replace(name_specials(vocabulary, vocabulary.pieces, folder), splits_words=True)
        return Unigram(vocabulary)

    def save_tokenizer(self, tokenizer: Any, folder: Path) -> None:
        from kerasft.text.tokenizers.sentencepiece_writing import is_fairseq, write_fairseq_model

        if not is_fairseq(tokenizer.vocabulary):
            raise PresetError(
                "The tokenizer's special tokens are not numbered as XLM-RoBERTa's (<s>, <pad>, </s>, <unk>, then the "
                "pieces, and <mask> at the end), so it cannot be written as a keras-hub preset.",
                where=str(folder),
                fix="Choose another preset.",
            )
        (folder / ASSETS).mkdir(parents=True, exist_ok=True)
        write_fairseq_model(tokenizer.vocabulary, folder / ASSETS / "vocabulary.spm")
        config = {"sequence_length": None, "add_bos": False, "add_eos": False, "proto": None}
        self.describe_tokenizer(folder, config)


FAMILY = XlmRobertaFamily()
