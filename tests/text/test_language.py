"""Which language a text is in."""

import pytest

from kb.text.characters import fold, is_han, plain
from kb.text.language import detect, han_share


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("赤水河县", "zh"), ("Willow Ferry", "en"), ("3000万", "zh"), ("349", "en"), ("", "en"),
        ("使用 PostgreSQL 数据库", "zh"), ("The word 中 means middle", "en"), ("これはペンです", "zh"),
        ("ペン", "zh"), ("한국어 문장", "en"), ("ｗｉｄｅ", "en"), ("abc天", "zh"), ("abcd天", "en"),
    ],
)  # fmt: skip
def test_detect(text, expected):
    """A quarter of Han (or kana) letters makes a text Chinese."""
    assert detect(text) == expected


@pytest.mark.parametrize(
    ("text", "share"), [("", 0.0), ("123", 0.0), ("a天", 0.5), ("天，地。", 1.0), ("ペン", 0.0), ("𠀀", 1.0)]
)
def test_han_share(text, share):
    """Only letters count, and only Han letters count as Han."""
    assert han_share(text) == share


def test_is_han():
    """Han characters of all planes are Han; kana, punctuation and nothing are not."""
    assert [is_han(c) for c in ("天", "〇", "々", "𠀀", "ペ", "。", "a", "")] == [True] * 4 + [False] * 4


def test_plain_keeps_case_and_fold_does_not():
    """Width, dashes and quotes become one form; case goes in `fold` only."""
    assert plain("Ｍａｙ “5”–’6’") == "May \"5\"-'6'"
    assert fold("Ｍａｙ") == "may"
    assert plain("3½ 30\u202f000 10²") == "3.5 30000 10^2"
