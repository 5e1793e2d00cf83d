"""Terms for word search, and lengths."""

import pytest

from kb.text.terms import count_tokens, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("赤水河县", ["赤水", "水河", "河县"]),
        ("市", ["市"]),
        ("在 市 里", ["在", "市", "里"]),
        ("Willow Ferry's FERRY", ["willow", "ferry", "ferry"]),
        ("3,000 3000 ３０００", ["3000", "3000", "3000"]),
        ("共3,000人", ["共", "3000", "人"]),
        ("3.14 v2.1", ["3.14", "v2.1"]),
        ("QX-1042 1989/57", ["qx", "1042", "1989", "57"]),
        ("ＱＸ１０４２", ["qx1042"]),
        ("don’t", ["dont"]),
        ("使用Python编程", ["使用", "python", "编程"]),
        ("カメラ", ["カメ", "メラ"]),
        ("a\u200bb", ["ab"]),
        ("snake_case", ["snake", "case"]),
        ("，。!?", []),
        ("", []),
    ],
)
def test_terms(text, expected):
    """Words, numbers and character pairs, in one form and in order."""
    assert terms(text) == expected


def test_numbers_are_found_however_they_are_written():
    """A question with 3000 shares the number's term with a text that writes 3,000."""
    assert set(terms("谁有3000名员工")) & set(terms("Turan has 3,000 employees")) == {"3000"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("赤水河县。", 5),
        ("Willow Ferry.", 3),
        ("internationalisation", 3),
        ("2024", 4),
        ("a\n\nb", 3),
        ("约3000万元", 7),
    ],
)
def test_count_tokens(text, expected):
    """The documented rule, character by character."""
    assert count_tokens(text) == expected


def test_count_tokens_of_prose_is_within_a_third_of_four_letters_a_token():
    """English prose comes out at a good four characters a token."""
    prose = (
        "The battery of the lamp lasts for many hours and can be charged again at every station of the railway. " * 5
    )
    assert 4 <= len(prose) / count_tokens(prose) <= 6


@pytest.mark.parametrize("code", range(128))
def test_a_text_of_ascii_alone_counts_as_beside_han(code):
    """The two ways to count agree on every character, between letters, digits and others of its kind."""
    text = f"word{chr(code) * 9}12{chr(code)} end"
    assert count_tokens(f"{text}。") == count_tokens(text) + 1
