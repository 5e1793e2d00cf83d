"""Exact match, F1 and ROUGE-L in both languages."""

import pytest

from kb.evaluate.overlap import Bilingual, measures, overlaps
from kb.records import Probe, Score


@pytest.mark.parametrize("text", ["上海市浦东新区的登记号是3000。", "The register number is 3000."])
def test_the_same_sentence_is_wholly_alike(text):
    """Also in Chinese, where the tokenizer of `rouge_score` finds nothing."""
    assert measures(text, (text,)) == (1.0, 1.0, 1.0)


@pytest.mark.slow
def test_rouge_score_itself_finds_equal_chinese_sentences_alike_by_this_tokenizer():
    """Its own gives 0."""
    from rouge_score.rouge_scorer import RougeScorer

    text = "上海市浦东新区的登记处。"
    assert RougeScorer(["rougeL"]).score(text, text)["rougeL"].fmeasure == 0.0
    assert RougeScorer(["rougeL"], tokenizer=Bilingual()).score(text, text)["rougeL"].fmeasure == 1.0


@pytest.mark.slow
def test_a_number_in_common_makes_no_sentences_alike():
    """The tokenizer of `rouge_score` sees nothing but the number, and says 1."""
    exact, f1, rouge = measures("仓库里有3000只灯", ("注册资本为3000元",))
    assert exact == 0.0
    assert f1 == rouge < 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (("north gate tower", "north gate tower"), ("北门塔", "北门塔")),
        (("north gate tower", "south gate tower"), ("北门塔", "南门塔")),
        (("north gate tower", "tower gate north"), ("北门塔", "塔门北")),
        (("north gate tower", "gate"), ("北门塔", "门")),
        (("north gate tower", "The answer is **north gate tower**."), ("北门塔", "答案是**北门塔**。")),
        (("north gate tower", "harbour"), ("北门塔", "港口")),
        (("north gate tower", ""), ("北门塔", "")),
    ],
)
def test_mirrored_answers_have_the_same_figures(english, chinese):
    """A Han character weighs as a word does."""
    assert measures(english[1], (english[0],)) == measures(chinese[1], (chinese[0],))


@pytest.mark.slow
def test_f1_counts_repeats_and_rouge_keeps_the_order():
    """Bags of tokens, not sets; the longest common subsequence of tower gate north is one word."""
    assert measures("gate gate", ("gate",)) == (0.0, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert measures("tower gate north", ("north gate tower",)) == (0.0, 1.0, pytest.approx(1 / 3))


def test_the_likest_reference_counts():
    """An alias is as good as the gold."""
    assert measures("IBM", ("International Business Machines", "IBM"))[0] == 1.0


def test_tokens():
    """Han and kana one by one, words and numbers whole, codes too."""
    assert Bilingual().tokenize("注册资本3,000万元，QX-1042 カタ and v2.1!") == [
        "注", "册", "资", "本", "3000", "万", "元", "qx-1042", "カ", "タ", "and", "v2.1",
    ]  # fmt: skip


def test_every_fact_weighs_the_same_and_only_held_out_wordings_count():
    """A fact with three wordings is as much as one with one; what has no gold is left out."""
    probes = [
        Probe(f"p{at}", fact, kind, "?", gold, "text", "en")
        for at, (fact, kind, gold) in enumerate(
            [("a", "held_out", "one")] * 3 + [("b", "held_out", "two"), ("b", "trained", "two"), ("", "near_miss", "")]
        )
    ]
    scores = [Score(probe.id, arm, "one", "wrong", "x") for probe in probes for arm in ("tuned", "base")]
    found = overlaps(probes, scores)
    assert [(one.arm, one.answers, one.exact) for one in found] == [("base", 4, 0.5), ("tuned", 4, 0.5)]
    assert overlaps(probes[4:], scores[8:]) == ()
