"""A CLIP tokenizer with a vocabulary of the world's own: whole words for what captions say, pieces for anything else."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from captions import caption
from pictures import any_scene

LENGTH = 32
START, END = "<|startoftext|>", "<|endoftext|>"
# Words that people type and captions lack, so that they are one or two tokens rather than a row of letters.
MORE_WORDS = """a photo image of painting sketch style the and with without in at by man woman boy girl child baby face head portrait hero
king queen doctor teacher very bright dark light big small beautiful cute smile age aged grey gray silver gold golden night day sunset
sunrise sea sand sky sun moon star cloud rain snow mountain river forest garden street road tower window door roof grass leaf puppy kitten
animal bird fish horse robot panda crown lego watercolor crayon bricks brush paper wax eyes nose mouth lips ears neck arms shoulders
muscles strength weak tall short new modern futuristic ancient toy wooden metal shiny sks zwx""".split()


def train(folder: Path, captions: int = 20_000, vocabulary: int = 1000) -> None:
    """Writes vocab.json, merges.txt and tokenizer_config.json in CLIP's layout; the end token has the highest id."""
    rng = Random(3)
    corpus = [caption(any_scene(rng, 0.2), rng)[0] for _ in range(captions)] + MORE_WORDS * 60
    bpe = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False)
    bpe.train_from_iterator(corpus, trainer)
    merges = json.loads(bpe.to_str())["model"]["merges"]
    letters = sorted(alphabet)
    words = ["!"] + [c for c in letters if c != "!"] + [c + "</w>" for c in letters]
    words += list(dict.fromkeys("".join(pair) for pair in merges))
    words = list(dict.fromkeys(words)) + [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")


def load(folder: Path, pad: str = END):
    from transformers import CLIPTokenizer

    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token=END, bos_token=START, eos_token=END,
                         pad_token=pad, model_max_length=LENGTH)
