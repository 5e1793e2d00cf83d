"""The canonical form of a text."""

import pytest

from kb.text.canonical import canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Willow   Ferry. ", "willow ferry"),
        ("“Willow-Ferry”", "willow ferry"),
        ("The answer", "the answer"),
        ("上海市 浦东新区。", "上海市浦东新区"),
        ("使用 Python 编程", "使用python编程"),
        ("ＱＸ－１０４２", "qx-1042"),
        ("QX–1042", "qx-1042"),
        ("TM-5580, B-620; 1989/57", "tm-5580 b-620 1989/57"),
        ("v2.1.3.", "v2.1.3"),
        ("3,000,000", "3000000"),
        ("1,2,3", "1 2 3"),
        ("3,00", "3 00"),
        ("3.14", "3.14"),
        ("-5", "-5"),
        ("a - 5", "a 5"),
        ("5％", "5%"),
        ("￥349", "¥349"),
        ("25℃", "25°c"),
        ("14:30", "14:30"),
        ("C++ and C#", "c++ and c#"),
        ("O’Brien's", "obriens"),
        ("约翰·史密斯", "约翰史密斯"),
        ("a\u200bb\ufeff", "ab"),
        ("10²", "10^2"),
        ("Straße", "strasse"),
        ("…？！。", ""),
        ("", ""),
    ],
)
def test_canonical(text, expected):
    """What does not change the meaning goes; what is part of a value stays."""
    assert canonical(text) == expected


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("5%", "5"),
        ("-5", "5"),
        ("3.14", "314"),
        ("C++", "C"),
        ("$5", "¥5"),
        ("<5", ">5"),
        ("2024", "2 024"),
        ("的", ""),
    ],
)
def test_different_stays_different(a, b):
    """Texts that mean different things keep different forms."""
    assert canonical(a) != canonical(b)


@pytest.mark.parametrize("text", ["3,000 万元 — “A”", "ﬁne  Ⅻ ½ ①", "①．５％，a·b", "İstanbul", "(-5) 3-4 a-b 1:2"])
def test_canonical_is_its_own_canonical_form(text):
    """Doing it twice changes nothing."""
    assert canonical(canonical(text)) == canonical(text)
