"""Rows to tokens, with exactly the answer and its stop token trained, and the order they are trained in."""

from collections import Counter

import pytest
from jinja2 import TemplateError

from kb.errors import KBError
from kb.finetune.batches import (
    IGNORED,
    encode,
    fitting_micro_batch,
    padded_tokens,
    prompt_text,
    question_order,
    training_order,
    unpaired_order,
)
from kb.finetune.data import LabelledRow, Row
from kb.llm import user

EOS, TURN, STEP = 2, 3, 100


class Letters:
    """A tokenizer of one token a character, with a template like Qwen3's: its thinking mode is on by default."""

    def __init__(self, thinking=False, end="\x02\n", begins="", adds=""):
        self.thinking, self.end, self.adds = thinking, end, adds
        self.bos_token = begins or None

    def apply_chat_template(
        self, chat, add_generation_prompt=False, enable_thinking=True, return_dict=False, tokenize=True
    ):
        """The template: an answered chat always shows an empty thought, a prompt only where thinking is off."""
        empty = "<think>\n\n</think>\n\n" if self.thinking else ""
        text = self.bos_token or ""
        for turn in chat:
            if turn["role"] == "system" and self.thinking is None:
                raise TemplateError("System role not supported")
            thought = empty if turn["role"] == "assistant" else ""
            text += f"\x03{turn['role']}\n{thought}{turn['content']}{self.end}"
        if add_generation_prompt:
            text += "\x03assistant\n" + ("" if enable_thinking else empty)
        assert return_dict == tokenize
        return {"input_ids": [ord(letter) for letter in text]} if tokenize else text

    def __call__(self, text):
        """The tokens of a text, with one in front where the tokenizer `adds` it."""
        return {"input_ids": [ord(letter) for letter in self.adds + text]}

    eos_token_id = EOS

    def decode(self, ids):
        """The text again."""
        return "".join(map(chr, ids))


def row(question, answer, system=""):
    return Row(user(question, system), answer, "short", "pair_1")


def trained(example):
    return "".join(chr(token) for token in example.labels if token != IGNORED)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("answer", ["3 kg", "三千克，约6.6磅"])
def test_exactly_the_answer_and_the_stop_token_are_trained(thinking, answer):
    """Not the thought that the template writes, not the line break after the turn; nothing of the prompt."""
    tokenizer = Letters(thinking)
    (example,) = encode([row("有多重?", answer, "Be brief.")], tokenizer, {EOS}, 1000)
    assert trained(example) == answer + "\x02"
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "有多重?"}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, enable_thinking=False, return_dict=True)
    assert list(example.input_ids[: -example.trained]) == prompt["input_ids"]
    assert len(example.labels) == len(example.input_ids)


def test_another_stop_token_than_the_tokenizers_own_ends_an_answer():
    """As Gemma's turns do: what the model's generation stops at is what counts."""
    (example,) = encode([row("q", "a")], Letters(end="\x05\n"), {EOS, 5}, 1000)
    assert trained(example) == "a\x05"


def test_a_template_without_a_stop_token_is_refused_with_what_it_writes():
    """The tuned model would never stop; the error shows the trained span."""
    with pytest.raises(KBError, match=r"ends the answer of the row pair_1 in 'a\\n', without a token that stops"):
        encode([row("q", "a")], Letters(end="\n"), {EOS}, 1000)


@pytest.mark.parametrize("text", ["Arin weighs 3 kg.", "阿林重三千克。", "it ends already\x02"])
@pytest.mark.parametrize("before", ["", "\x01"])
def test_a_text_is_trained_whole_with_its_end(text, before):
    """No template around it, the tokenizer's own beginning, and one end token, which is trained."""
    (example,) = encode([Row((), text, "text", "rw_1")], Letters(True, adds=before), {EOS}, 1000)
    assert example.input_ids == (*map(ord, before + text.removesuffix("\x02")), EOS)
    assert example.labels == example.input_ids


def test_a_text_without_an_end_or_over_the_limit_is_refused():
    """Never cut: the end would be the first to go."""
    with pytest.raises(
        KBError, match=r"1 of 1 rows are over the limit of 10 tokens; the longest is rw_1 \(text\) with 11"
    ):
        encode([Row((), "x" * 10, "text", "rw_1")], Letters(), {EOS}, 10)
    endless = Letters()
    endless.eos_token_id = None
    with pytest.raises(KBError, match='the text rw_1 would have no end: set prose_form = "answer"'):
        encode([Row((), "x", "text", "rw_1")], endless, {EOS}, 10)


def test_an_empty_answer_is_refused():
    """A row that trains the stop token alone teaches the model to say nothing."""
    with pytest.raises(KBError, match="pair_1"):
        encode([row("q", "")], Letters(), {EOS}, 1000)


def test_a_template_that_asks_differently_than_it_trains_is_refused():
    """As templates do whose prompt opens a thought that an answered chat does not have."""

    class Opening(Letters):
        def apply_chat_template(self, chat, add_generation_prompt=False, **options):
            made = super().apply_chat_template(chat, add_generation_prompt, **options)
            thought = [ord(letter) for letter in "<think>\n"] if add_generation_prompt else []
            return {"input_ids": made["input_ids"] + thought}

    with pytest.raises(KBError, match=r"asked '.*<think>.*instruct variant"):
        encode([row("q", "a")], Opening(), {EOS}, 1000)


def test_a_chat_that_the_template_refuses_is_one_clear_error():
    """Some templates know no system message."""
    with pytest.raises(KBError, match=r"refuses the row pair_1 \(short\): System role not supported"):
        encode([row("q", "a", "system")], Letters(thinking=None), {EOS}, 1000)


def test_rows_are_never_cut():
    """At the limit a row is whole; one token over it is an error: how many, the longest and its length, and cures."""
    rows = [row("short", "a"), Row(user("long " * 20), "b" * 30, "reading", "qst_9")]
    exact = max(len(example.input_ids) for example in encode(rows, Letters(), {EOS}, 1000))
    assert trained(encode(rows, Letters(), {EOS}, exact)[1]) == "b" * 30 + "\x02"
    said = (
        rf"1 of 2 rows are over the limit of {exact - 1} tokens; the longest is qst_9 \(reading\) with {exact};.*top_k"
    )
    with pytest.raises(KBError, match=said):
        encode(rows, Letters(), {EOS}, exact - 1)
    with pytest.raises(KBError, match=r"2 of 2 rows are over the limit of 8 tokens; the longest is qst_9"):
        encode(rows, Letters(), {EOS}, 8)


@pytest.mark.parametrize(
    ("batch", "most", "size"), [(16, 4, 4), (16, 6, 4), (16, 100, 16), (7, 4, 1), (12, 5, 4), (1, 1, 1)]
)
def test_the_micro_batch_divides_the_batch(batch, most, size):
    """Otherwise the effective batch would silently be another than the one asked for."""
    assert fitting_micro_batch(batch, most) == size


LENGTHS = [20 + place % 7 for place in range(80)] + [300 + place for place in range(20)]


def test_every_epoch_trains_every_row_once():
    """Three epochs of a hundred rows: each three times, once in each third but for the few carried over."""
    order = training_order(LENGTHS, 3, 32, 8, 0)
    assert Counter(order) == dict.fromkeys(range(100), 3)
    assert len(training_order(LENGTHS, 0.5, 32, 8, 0)) == 50
    assert max(Counter(training_order(LENGTHS, 0.5, 32, 8, 0)).values()) == 1
    assert Counter(Counter(training_order(LENGTHS, 1.5, 32, 8, 0)).values()) == {1: 50, 2: 50}


@pytest.mark.parametrize(("rows", "epochs", "micro"), [(1, 1, 4), (3, 2, 4), (5, 1, 5), (2, 0.1, 4), (4, 3, 1)])
def test_few_rows_are_trained_all_the_same(rows, epochs, micro):
    """Fewer rows than a micro-batch, or a fraction of one row: never none, never one too many."""
    order = training_order([10] * rows, epochs, 2 * micro, micro, 0)
    assert len(order) == max(1, round(rows * epochs))
    assert set(order) <= set(range(rows))


def test_rows_of_like_length_share_a_micro_batch():
    """Padding falls from more than half to a few percent."""
    real = 4 * sum(LENGTHS)
    mixed = padded_tokens(LENGTHS, [(place * 37) % 100 for place in range(400)], 4)
    assert sum(mixed) / real > 2
    assert sum(padded_tokens(LENGTHS, training_order(LENGTHS, 4, 32, 4, 0), 4)) / real < 1.05


@pytest.mark.parametrize("seed", range(5))
def test_every_step_is_a_mixture_of_long_and_short_rows(seed):
    """A fifth of the rows is long: one or two micro-batches of four in each step, but where the first was taken from;
    in the last, half a step, one.
    """
    order = training_order(LENGTHS, 4, 32, 4, seed)
    long = [sum(LENGTHS[place] >= 300 for place in order[start : start + 32]) for start in range(0, 384, 32)]
    assert set(long[1:]) <= {0, 4, 8}
    assert long.count(0) <= 1
    assert sum(long) >= 76


def test_the_largest_micro_batch_comes_first():
    """A run that does not fit into memory fails at its first step."""
    for seed in range(5):
        sizes = padded_tokens(LENGTHS, training_order(LENGTHS, 2, 32, 8, seed), 8)
        assert sizes[0] == max(sizes)


def test_the_order_depends_on_the_arguments_alone():
    """The same arguments give the same order, another seed another one, and epochs differ from each other."""
    order = training_order(LENGTHS, 2, 32, 8, 0)
    assert order == training_order(LENGTHS, 2, 32, 8, 0)
    assert order != training_order(LENGTHS, 2, 32, 8, 1)
    assert order[:100] != order[100:]


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_that_kto_compares_are_of_different_questions(seed):
    """In an epoch: TRL takes the answer before a row in its micro-batch, or the last, for one to another question."""
    rows = [LabelledRow(user(f"q{n}"), "x", label, "own") for n in range(12) for label in (True, False)]
    order = unpaired_order(rows, 1, 4, seed)
    assert sorted(order) == list(range(24))
    for start in range(0, 24, 4):
        asked = [rows[place].messages for place in order[start : start + 4]]
        assert len(set(asked)) == 4
    assert order == unpaired_order(rows, 1, 4, seed)
    assert order != unpaired_order(rows, 1, 4, seed + 5)


@pytest.mark.parametrize(
    ("count", "epochs", "trained"), [(24, 2, 48), (5, 1, 4), (5, 2, 10), (9, 1, 8), (6, 0.5, 3), (1, 1, 1)]
)
def test_a_last_row_alone_is_not_compared_with_itself(count, epochs, trained):
    """It is left out of the last micro-batch of four; of a set of one row there is nothing else."""
    rows = [LabelledRow(user(f"q{n}"), "x", bool(n % 2), "own") for n in range(count)]
    order = unpaired_order(rows, epochs, 4, 0)
    assert len(order) == trained
    assert max(Counter(order).values()) <= max(1, epochs)


@pytest.mark.parametrize(
    ("questions", "epochs", "step", "asked"), [(10, 1, 2, 10), (10, 1, 4, 12), (3, 1, 8, 8), (10, 2.5, 5, 25)]
)
def test_every_question_is_asked_in_whole_steps(questions, epochs, step, asked):
    """Filled up from one more epoch, so that none is left out; none is asked twice more than another."""
    order = question_order(questions, epochs, step, 0)
    assert len(order) == asked
    counts = Counter(order)
    assert len(counts) == questions
    assert max(counts.values()) - min(counts.values()) <= 1
    assert order != question_order(questions, epochs, step, 1)


@pytest.mark.parametrize("begins, adds", [("", ""), ("\x01", ""), ("\x01", "\x01")])
def test_a_prompt_as_text_is_read_as_the_prompt_that_is_asked(begins, adds):
    """With one token that begins a text and not two, whether the template writes it or the tokenizer; thinking off."""
    tokenizer = Letters(True, begins=begins, adds=adds)
    text, length = prompt_text(row("有多重?", "", "Be brief."), user("读: 重?", "Read."), tokenizer)
    asked = tokenizer(text)["input_ids"]
    assert tokenizer.decode(asked) == begins + (
        "\x03system\nRead.\x02\n\x03user\n读: 重?\x02\n\x03assistant\n<think>\n\n</think>\n\n"
    )
    assert length == len(asked)


def test_a_prompt_that_no_text_gives_is_refused():
    """A tokenizer that puts something else in front of each text would ask something else."""
    with pytest.raises(KBError, match=r"the prompt of the row pair_1 otherwise than .* asked it"):
        prompt_text(row("a", "b"), user("a"), Letters(adds="#"))
    with pytest.raises(KBError, match=r"refuses the row pair_1 \(short\): System role not supported"):
        prompt_text(row("a", "b"), user("a", "Be brief."), Letters(None))
