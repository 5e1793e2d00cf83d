"""Similarity, and where quotes stand."""

import pytest

from kb.text.similar import figures, locate, ngram_jaccard

TEXT = (
    "# Tulvao Core\n| product | Tulvao Core |\n| --- | --- |\n| weight | 913 grams |\n| 12 | 349 克 |\n"
    "The battery of Tulvao Core lasts 34\nhours. It costs 3,420 crowns; its code is TM-5580.\n"
    "公司成立于１９９８年３月１２日，总部设在 赤水河县。“好！”"
)


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("It costs 3,420 crowns", "It costs 3,420 crowns"),
        ("| weight | 913 grams |", "| weight | 913 grams |"),
        ("weight 913 grams", "weight | 913 grams"),
        ("weight|913grams", "weight | 913 grams"),
        ("weight: 913 grams", "weight | 913 grams"),
        ("12 349克", "12 | 349 克"),
        ("349克", "349 克"),
        ("the BATTERY of Tulvao Core lasts 34 hours.", "The battery of Tulvao Core lasts 34\nhours."),
        ("It costs 3420 crowns;", "It costs 3,420 crowns;"),
        ("公司成立于1998年3月12日,总部设在赤水河县。", "公司成立于１９９８年３月１２日，总部设在 赤水河县。"),
        ("好！", "好！"),
    ],
)
def test_locate_exactly(quote, found):
    """Blanks, line breaks, width, case, punctuation and table bars do not matter, and the span is exact."""
    span = locate(quote, TEXT)
    assert span is not None
    assert (TEXT[span.start : span.end], span.score) == (found, 1.0)


def test_locate_approximately():
    """A quote with a changed word is found with its similarity below 1."""
    span = locate("The battery of the Tulvao Core last 34 hours", TEXT)
    assert span is not None
    assert TEXT[span.start : span.end] == "The battery of Tulvao Core lasts 34\nhours"
    assert 0.9 <= span.score < 1


@pytest.mark.parametrize(
    "quote",
    [
        "It costs 3,430 crowns", "It costs 420 crowns", "420 crowns", "49 克", "公司成立于1998年3月13日",
        "its code is TM-5581", "总部设在玉泉镇", "Nothing of this is there", "", " \n", "。", TEXT * 2,
    ],
)  # fmt: skip
def test_locate_refuses(quote):
    """Another number is no approximation, a piece of a number is no quote, and nothing is nowhere."""
    assert locate(quote, TEXT) is None


def test_locate_prefers_whole_words():
    """A quote is found where it stands as a word before it is found inside another."""
    span = locate("art", "a party of art")
    assert span is not None
    assert (span.start, span.end) == (11, 14)


def test_locate_takes_the_threshold():
    """A looser threshold finds what the strict one does not."""
    quote = "battery of a Tulvao lamp lasts for 34 hours"
    assert locate(quote, TEXT) is None
    span = locate(quote, TEXT, at_least=0.7)
    assert span is not None
    assert TEXT[span.start : span.end].startswith("battery of")


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ("Who founded Turan Works?", "who founded turan works", 1.0, 1.0),
        ("天青公司有多少员工？", "天青公司有多少员工", 1.0, 1.0),
        ("天青公司有多少员工？", "天青公司有多少名员工？", 0.6, 0.9),
        ("天青公司有多少员工？", "谁设计了墨狐标准版？", 0.0, 0.05),
        ("Room B-620", "Room B-621", 0.5, 0.95),
        ("How many people work there?", "What does it weigh?", 0.0, 0.15),
        ("市", "市", 1.0, 1.0),
        ("", "", 0.0, 0.0),
        ("abc", "。", 0.0, 0.0),
    ],
)
def test_ngram_jaccard(a, b, low, high):
    """Equal up to punctuation is 1, unrelated is near 0, a changed digit is not equal; empty is like nothing."""
    assert low <= ngram_jaccard(a, b) <= high
    assert ngram_jaccard(a, b) == ngram_jaccard(b, a)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("What does the 3 kg box cost?", "What does the 13 kg box cost?", False),
        ("What does the 3 kg box cost?", "How much is the 3 kg box?", True),
        ("Who repairs TM-5580?", "Who repairs TX-5580?", False),
        ("Who repairs TM-5580?", "tm-5580: who repairs it?", True),
        ("Who serves for two years?", "Who serves for three years?", False),
        ("Since 3,000 were sold", "since 3000 were sold", True),
        ("H200有几块？", "H100有几块？", False),
        ("3公斤装卖多少？", "13公斤装卖多少？", False),
        ("三公斤装卖多少？", "十三公斤装卖多少？", False),
        ("3公斤装卖多少？", "3公斤装的价钱？", True),
        ("2024年3月的假期", "2024年4月的假期", False),
        ("What does it cost?", "它卖多少钱？", True),
    ],
)
def test_figures(a, b, same):
    """Numbers, dates and codes, in digits or in words; everything else does not count."""
    assert (figures(a) == figures(b)) == same
