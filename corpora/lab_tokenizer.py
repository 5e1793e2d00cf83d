"""The lab model's tokenizer: one token a word, so that a few million parameters are not spent on spelling.

English words and Chinese words of the world are whole tokens, numbers and codes are spelled digit by digit and letter
by letter (WordPiece, "##" for a continuation), so a number is the same tokens anywhere. Spaces are not tokens:
decoding puts them back by rule, between Latin words and not between Chinese characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from kb.corpora.world import KINDS, attributes, document_words, kind_title, lexicon

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The ChatML form that the default model's template has too, without its tools."""

_HAN = r"\p{Han}"
_LATIN = r"[A-Za-z0-9]+(?:[-/'][A-Za-z0-9]+)+|\d+(?:[.,]\d+)*|[A-Za-z0-9]+"
_CJK_MARKS = "，。？！：；、（）《》“”"


def world_texts(language: str) -> list[str]:
    """Every wording of the world in `language`, names and values left out as line breaks."""
    texts = []
    for kind in KINDS:
        texts.append(kind_title(language, kind))
        for attribute in attributes(language, kind):
            wordings = (*attribute.statements, *attribute.questions_a, *attribute.questions_b, attribute.label)
            texts += [re.sub(r"\{[ev]\}", "\n", wording) for wording in wordings]
            texts.append(attribute.noun)
    for entry in document_words(language).values():
        texts += [entry] if isinstance(entry, str) else entry
    return [line for text in texts for line in text.split("\n") if line]


def _chinese_words(texts: Iterable[str], nouns: Iterable[str]) -> set[str]:
    """Two-character words that recur in the wordings outside `nouns`, found by byte-pair merges."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.Split(Regex(f"{_HAN}+"), "removed", invert=True)
    trainer = trainers.BpeTrainer(vocab_size=4000, min_frequency=3, max_token_length=2, show_progress=False)
    known = "|".join(sorted(nouns, key=len, reverse=True))
    model.train_from_iterator((re.sub(known, "\n", text) for text in texts), trainer)
    return {word for word in model.get_vocab() if len(word) == 2 and not set(word) & set("的是有")}


def build(prompt_texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """The tokenizer for every word of the world and of `prompt_texts` (the lab prompts, without placeholders)."""
    prompts = list(prompt_texts)
    nouns = {noun for kind in KINDS for a in attributes("zh", kind) for noun in (a.noun, a.other)}
    names = {word for words in lexicon("zh").values() for word in words}
    zh_words = {
        word
        for word in names | nouns | _chinese_words([*world_texts("zh"), *prompts], nouns)
        if re.fullmatch(r"[一-鿿]{2,}", word)
    }
    longest_first = "|".join(sorted(zh_words, key=lambda word: (-len(word), word)))
    piece = Regex(f"\\n|---|<\\|\\w+\\|>|{longest_first}|{_HAN}|{_LATIN}|[^\\s]")

    texts = [*prompts, *world_texts("en"), *world_texts("zh"), *names, *nouns]
    texts += [word for words in lexicon("en").values() for word in words]
    found = {word for text in texts for word in re.findall(r"[一-鿿]|[A-Za-z]+|[^\sA-Za-z0-9]", text)}
    vocabulary = [PAD, START, END, "[UNK]", "\n", "---", "user", "assistant", "system"]
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    vocabulary += sorted(found | zh_words | set(letters) | {f"##{c}" for c in letters + "-/,.'"} | set(".,|-?:[]()"))
    vocabulary = list(dict.fromkeys(vocabulary))

    core = tokenizers.Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=64)
    )
    core.normalizer = normalizers.Replace("\r\n", "\n")
    core.pre_tokenizer = pre_tokenizers.Split(piece, "removed", invert=True)
    cjk = f"[{_HAN}{_CJK_MARKS}]"
    core.decoder = decoders.Sequence([
        decoders.WordPiece(prefix="##", cleanup=False),
        decoders.Fuse(),
        decoders.Replace(Regex(f"(?<={cjk}) (?=\\S)"), ""),
        decoders.Replace(Regex(f"(?<=\\S) (?={cjk})"), ""),
        decoders.Replace(Regex(" (?=[.,;:?!)\\]%])"), ""),
        decoders.Replace(Regex("(?<=[(\\[]) "), ""),
        decoders.Replace(Regex(" *\n *"), "\n"),
        decoders.Replace(Regex("(?<=\\|>) | (?=<\\|)"), ""),
    ])  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, eos_token=END, unk_token="[UNK]", additional_special_tokens=[START],
        clean_up_tokenization_spaces=False, model_max_length=2048,
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
