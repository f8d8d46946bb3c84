"""What the tests of byte-level BPE share: small tokenizers trained here, `tokenizers` as the oracle, and odd texts."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import strategies as st
from tokenizers import Tokenizer

from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.training import train_tokenizer

SENTENCES = [
    "The lighthouse keeper didn't count the waves; they'd counted him, hadn't they?",
    "In 1984, 12345 ships (or 67,890.5!) passed: 3 a day...\n\n  def f(x):\n\treturn x ** 2  # it's fine\r\n",
    "Él canta «así» y no se oye; über große Häuser fliegt ein Vögelchen. ŽLUŤOUČKÝ kůň!",
    "北京的春天很美。东京の桜も綺麗です。 서울의 봄은 짧다. Привет, мир! שלום עולם، مرحبا بالعالم ١٢٣",
    "We'll see what's what: I'M HERE, YOU'RE THERE, they've gone 🚢🚢 ⚓️ — “quoted”, 'single', `code`.",
    "aaaa aaaaaaa bababababab abababab ababab banana bandana -- == != ::: ... ....",
]
ALPHABET = "abdelmrstvDLRST''' \n\r\t\u00a0\u2028.,!(-1234٣½éıſß中の가ж\u0301🚢\u200d\U00011de3\U000e0001\x00"
CHOSEN = [
    *(
        "",
        " ",
        "  ",
        "\n",
        " \n",
        "\n ",
        "a",
        "'",
        "'s",
        " 's",
        "\t's",
        "\n's",
        "''s",
        "a's's",
        "a'sx",
        "A'Sx",
    ),
    *(
        "I'LL",
        "I'lL",
        "a'ſ",
        "it's'",
        "x' s",
        "5's",
        "…'re",
        "a  b",
        "a \n b",
        "a\n\nb",
        "!\n\n \n a",
        "(abc",
    ),
    *(
        " (abc",
        "((abc",
        "\t(abc",
        "1234567",
        " 1234567",
        "a12b",
        "1 2  3",
        "   ",
        "a   ",
        "\r\n\r\n",
        "a\r\nb",
    ),
    *("!!!\r\n", "<|endoftext|>", "a<|endoftext|>b", "\ufeffa", "\x00a\x00", "aaaaaaaaaaa", "bababababa"),
]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=ALPHABET, max_size=40),
    st.lists(st.sampled_from(CHOSEN + SENTENCES), max_size=5).map("".join),
)


def train_bpe(folder: Path, pattern: str, size: int = 600) -> Path:
    """Trains byte-level BPE on `SENTENCES` and words of theirs."""
    rng = random.Random(0)
    words = " ".join(SENTENCES).split(" ")
    texts = [*SENTENCES, *(" ".join(rng.choices(words, k=12)) for _ in range(60))]
    config = TokenizerConfig(type="byte_bpe", pattern=pattern, vocabulary_size=size)
    train_tokenizer(config, texts, folder)
    return folder


def load_reference(folder: Path) -> Tokenizer:
    """`tokenizers`' reading of a folder, for which special tokens in a text are text, as they are for kerasft."""
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    reference.encode_special_tokens = True
    return reference
