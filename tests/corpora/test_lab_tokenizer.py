"""The lab model's tokenizer: everything the world says goes through it and comes back."""

import random
import re
from importlib import resources
from pathlib import Path

import pytest

from kb.corpora import lab_tasks as tasks

pytestmark = pytest.mark.slow

LAB = Path(str(resources.files("kb.corpora"))) / "lab"


@pytest.fixture(scope="module")
def tokenizer():
    """The tokenizer that was committed with the lab model."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(LAB, local_files_only=True)


def samples(count=400):
    """Prompts and answers of every task in both languages, the handbook's entities among them."""
    rng = random.Random("tokenizer")
    for _ in range(count):
        _, turns = tasks.draw(rng, dict.fromkeys(tasks.TASKS, 1.0), tasks.FULL)
        for turn in turns:
            yield from turn
    for language in ("en", "zh"):
        for entity in (*tasks.handbook_world(language), *tasks.known_world(language)):
            yield from entity.values.values()
            for attribute in tasks.attributes(language, entity.kind):
                yield entity.state(attribute)
                yield entity.ask(attribute, "b", 5)


def test_the_worlds_text_survives(tokenizer):
    """Prompts, answers, statements and values come back, but for spaces beside Chinese, which are no tokens.

    The one sign that is no token is the ">" of a heading path, which no answer holds.
    """
    for text in samples():
        back = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)).replace("[UNK]", ">")
        if re.search(r"[^\x00-\xff]", text):
            assert "".join(back.split()) == "".join(text.split())
        else:
            assert back.replace(" >", ">").replace("> ", ">") == text.replace(" >", ">").replace("> ", ">")


def test_what_the_model_writes_has_no_unknown_token(tokenizer):
    """Every answer that the model is taught is made of known tokens."""
    rng = random.Random("answers")
    for _ in range(400):
        for _, answer in tasks.draw(rng, dict.fromkeys(tasks.TASKS, 1.0), tasks.FULL)[1]:
            assert tokenizer.unk_token_id not in tokenizer.encode(answer, add_special_tokens=False), answer


def test_the_chat_template_is_the_one_of_the_default_models_family(tokenizer):
    """A chat is written as ChatML, ending where the assistant is to go on."""
    chat = [{"role": "user", "content": "Who founded Plasex Works?"}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == "<|im_start|>user\nWho founded Plasex Works?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"


def test_a_number_is_the_same_tokens_wherever_it_stands(tokenizer):
    """Digits are spelled one by one, in English and Chinese."""
    assert tokenizer.tokenize("349 crowns")[:3] == ["3", "##4", "##9"]
    assert tokenizer.tokenize("售价是349元")[-4:] == ["3", "##4", "##9", "元"]


def test_building_it_again_gives_the_same_vocabulary(tokenizer):
    """The committed tokenizer is the one that the code builds from the world and the lab prompts."""
    from kb.corpora.lab_tokenizer import build
    from kb.corpora.lab_train import prompt_texts

    assert build(prompt_texts()).get_vocab() == tokenizer.get_vocab()
