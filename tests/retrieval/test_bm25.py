"""BM25 over Chinese and English, and the best of a list of scores."""

import numpy as np
import pytest

from kb.retrieval.bm25 import Bm25, best_places

TEXTS = (
    "本产品的售价是3,000元。",
    "保修期为两年，自购买之日起计算。",
    "The Tulvao pump weighs 12 kilos.",
    "The Orsk valve, model QX-1042, costs ４５００ crowns.",
)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("售价是多少？", 0),
        ("保修期多久？", 1),
        ("What does the pump weigh?", 2),
        ("ORSK VALVE", 3),
        ("qx 1042", 3),
        ("Ｔｕｌｖａｏ", 2),
    ],
)
def test_the_text_with_the_words_of_a_question_comes_first(query, place):
    """Chinese is found by pairs of characters, English by words, whatever their case and width."""
    assert np.argmax(Bm25(TEXTS).scores(query)) == place


@pytest.mark.parametrize(
    ("query", "place"), [("3000", 0), ("3,000", 0), ("３０００", 0), ("４，５００", 3), ("4500", 3), ("4,500", 3)]
)
def test_a_number_is_one_term_however_it_is_written(query, place):
    """Separators of thousands and full-width digits do not matter, in the text or in the question."""
    assert np.flatnonzero(Bm25(TEXTS).scores(query)).tolist() == [place]


def test_characters_of_a_chinese_word_that_stand_apart_are_not_the_word():
    """A text that has both characters of a word, but not side by side, is no hit."""
    assert Bm25(["销售部的价格表", "售价表"]).scores("售价").astype(bool).tolist() == [False, True]


def test_a_rare_word_weighs_more_than_a_frequent_one():
    """A text with the word that few others have comes before texts with the word that all have."""
    scores = Bm25(["The pump.", "The valve.", "The lid.", "The hose."]).scores("the valve")
    assert np.argmax(scores) == 1
    assert (scores > 0).all()


@pytest.mark.parametrize("query", ["", "？！", "zebra", "斑马", "pum"])
def test_a_query_without_a_known_term_scores_nothing(query):
    """Zeros for every text: for blanks, punctuation, unknown words and pieces of words."""
    assert Bm25(TEXTS).scores(query).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("texts", [[], [""], ["", "……"]])
def test_texts_without_terms_can_be_searched(texts):
    """No texts, and texts without a word, give a zero for each."""
    assert Bm25(texts).scores("pump 售价").tolist() == [0] * len(texts)


def test_an_empty_text_keeps_its_place():
    """Scores stay aligned with the texts when some of them have no terms."""
    assert np.flatnonzero(Bm25(["", "pump", "...", "pump"]).scores("pump")).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("scores", "count", "places"),
    [
        ([1, 3, 2], 2, [1, 2]),
        ([1, 3, 3, 2, 3], 2, [1, 2]),
        ([2, 1, 1, 5, 1], 3, [3, 0, 1]),
        ([0, 0, 0, 0], 3, [0, 1, 2]),
        ([1, 3, 3], 3, [1, 2, 0]),
        ([1, 3, 3], 9, [1, 2, 0]),
        ([-1, -3, -2], 2, [0, 2]),
        ([1, 2], 0, []),
        ([], 4, []),
    ],
)
def test_the_best_places(scores, count, places):
    """Best first, ties to the earlier place, never more than there are."""
    assert best_places(np.array(scores, dtype=np.float32), count).tolist() == places


def test_the_best_places_among_many_with_ties():
    """Looking at blocks first changes nothing: the same places as sorting all scores gives."""
    random = np.random.default_rng(0)
    for size, values, count in ((200, 5, 3), (5000, 40, 50), (5000, 3, 50), (5001, 10**6, 50), (300, 7, 299)):
        scores = random.integers(0, values, size).astype(np.float32)
        assert best_places(scores, count).tolist() == np.argsort(-scores, kind="stable")[:count].tolist()
