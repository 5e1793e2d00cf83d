"""Traditional characters."""

from kb.text.traditional import simplified


def test_traditional_becomes_simplified_and_the_rest_stays():
    """One for one, so that offsets hold; twice is once."""
    text = "臺灣龍門電機於2024年註冊資本三千萬元，Zoë"
    made = simplified(text)
    assert made == "台湾龙门电机于2024年注册资本三千万元，Zoë"
    assert simplified(made) == made
    assert len(made) == len(text)
