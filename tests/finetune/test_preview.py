"""What a preview shows of rows: samples with the trained span marked, counts, lengths, ends, and what is too long."""

import importlib.util
from dataclasses import asdict
from pathlib import Path

import pytest

from kb.finetune.data import Row
from kb.finetune.preview import BINS, histogram, preview_of
from kb.llm import user

ROWS = (
    Row(user("What does Arin weigh?"), "3 kg", "short", "pair_1"),
    Row(user("What does Bolt weigh?"), "4 kg", "short", "pair_2"),
    Row(user("产品多重？"), "6千克", "short", "pair_3"),
    Row(user("passage " * 120 + "Arin?"), "3 kg", "reading", "qst_1"),
)


@pytest.fixture(scope="module")
def letters():
    """The tokenizer of test_batches.py: one token a character."""
    spec = importlib.util.spec_from_file_location("kb_test_batches", Path(__file__).with_name("test_batches.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Letters()


def shown(letters, limit=2000, each=1):
    return preview_of(ROWS, letters, frozenset({2}), limit, each)


def test_samples_are_of_every_kind_in_both_languages(letters):
    """One of each unless more are asked for; none when none are."""
    kinds = [(one.kind, one.language, one.source) for one in shown(letters).samples]
    assert kinds == [("reading", "en", "qst_1"), ("short", "en", "pair_1"), ("short", "zh", "pair_3")]
    assert [one.source for one in shown(letters, each=2).samples] == ["qst_1", "pair_1", "pair_2", "pair_3"]
    assert shown(letters, each=0).samples == ()


def test_the_trained_span_is_marked_and_nothing_else(letters):
    """The answer with its stop token, as the model reads it; a long prompt is shown without its middle."""
    text = "\n".join(shown(letters).lines(("[[", "]]")))
    assert "  What does Arin weigh?\x02\n  \x03assistant\n  [[3 kg\x02]]" in text
    assert "[[6千克\x02]]" in text
    assert text.count("[[") == 3
    assert "[... 3" in text
    assert "short pair_3 (zh), 28 tokens, 4 trained:" in text


def test_counts_are_by_kind_with_the_masked_share_and_the_ends(letters):
    """Rows, tokens, trained tokens and the longest; every row ends in a token that stops generation."""
    made = shown(letters)
    short = next(one for one in made.kinds if one.kind == "short")
    assert (short.rows, short.trained) == (3, 5 + 5 + 4)
    assert made.masked == pytest.approx(1 - 19 / sum(one.tokens for one in made.kinds))
    assert made.ended == made.rows == 4
    assert "the end of the answer is trained in every row" in "\n".join(made.lines(("", "")))


def test_what_is_too_long_is_named_and_nothing_is_cut(letters):
    """Longest first, with its tokens; where nothing is, that is said."""
    made = shown(letters, limit=30)
    assert [one.partition(" (")[0] for one in made.over] == ["qst_1", "pair_1", "pair_2"]
    assert made.over[0].startswith("qst_1 (reading): 989 tokens")
    assert "over the limit of 30 tokens: 3 rows, which kb train refuses" in "\n".join(made.lines(("", "")))
    assert shown(letters).lines(("", ""))[-1] == "cut off: nothing; a row may have 2000 tokens"
    assert asdict(made)["limit"] == 30


def test_the_histogram_has_every_row_in_one_bar():
    """Ranges of the same width up to the longest, empty ones too; also with rows shorter than there are bars."""
    lengths = [1, 10, 11, 95, 100]
    bars = histogram(lengths)
    assert [high for high, _ in bars] == list(range(10, 101, 10))
    assert [count for _, count in bars] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert histogram([3, 3, 1]) == ((1, 1), (2, 0), (3, 2))
    assert len(histogram(range(1, 1000))) == BINS
