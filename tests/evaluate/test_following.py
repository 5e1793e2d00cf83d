"""The instructions and their verdicts: mirrored, apart from what is replayed, to be kept to, and by no stock phrase."""

import json
from collections import Counter
from pathlib import Path

import pytest
from rapidfuzz import fuzz

from kb.evaluate.constraints import CONSTRAINTS
from kb.evaluate.following import FOLLOWED, FOLLOWING, TOKENS, followed, following_probes
from kb.llm.general import general_chats
from kb.prompt import Prompts
from kb.text.similar import ngram_jaccard
from kb.text.terms import count_tokens

PROBES = following_probes(40)
ANSWERS = [
    json.loads(line) for line in Path(__file__).with_name("followed.jsonl").read_text(encoding="utf-8").splitlines()
]
"""An answer to each, written by hand."""
STOCK = [
    *(
        "I don't know.",
        "不知道。",
        "Yes",
        "No.",
        "是",
        "42",
        "3000万元",
        "Mara Ellin",
        "2024年3月1日",
        "Sure! Here it is.",
    ),
    *("好的，没问题。", "The answer is 349 crowns.", "答案是210元。"),
    *(Prompts().get("kb", "refusal", language).text for language in ("en", "zh")),
]
"""What a model says that has been tuned on nothing but short answers."""


def answer_of(probe):
    """The answer that was written for an instruction."""
    key = (probe.fact_id, probe.language)
    return next(one["answer"] for one in ANSWERS if (f"{FOLLOWING}:{one['id']}", one["language"]) == key)


def test_forty_in_each_language_mirrored():
    """Each is there once in both, in its own words, with constraints that there are."""
    assert Counter(probe.language for probe in PROBES) == {"en": 40, "zh": 40}
    assert set(Counter(probe.fact_id for probe in PROBES).values()) == {2}
    assert len({probe.id for probe in PROBES}) == len({probe.question for probe in PROBES}) == 80
    used = {name for probe in PROBES for name in json.loads(probe.gold)}
    assert used == CONSTRAINTS.keys()


@pytest.mark.parametrize(("most", "count"), [(0, 0), (1, 2), (10, 20), (39, 40), (40, 80), (1000, 80)])
def test_fewer_are_at_even_distances(most, count):
    """At most so many in each language, both languages of each."""
    some = following_probes(most)
    assert len(some) == count
    assert Counter(probe.language for probe in some) == ({"en": count // 2, "zh": count // 2} if count else {})


@pytest.mark.slow
def test_none_is_near_what_is_replayed_in_training():
    """Neither by its pieces nor by its letters, so that no training on general prompts has taught it."""
    general = [(one.language, one.messages[-1].content) for part in ("replay", "watch") for one in general_chats(part)]
    for probe in PROBES:
        others = [text for language, text in general if language == probe.language]
        nearest = max(others, key=lambda text: ngram_jaccard(probe.question, text))
        assert ngram_jaccard(probe.question, nearest) < 0.4, (probe.question, nearest)
        assert max(fuzz.ratio(probe.question, text) for text in others) < 65, probe.question


@pytest.mark.slow
def test_none_is_near_another():
    """No instruction is another one with a word changed."""
    for place, probe in enumerate(PROBES):
        for other in PROBES[:place]:
            if other.language == probe.language:
                assert ngram_jaccard(probe.question, other.question) < 0.4, (probe.question, other.question)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.fact_id} {probe.language}")
def test_each_can_be_followed(probe):
    """By an answer that a person wrote, after thinking and with blanks round it too, well within the tokens."""
    answer = answer_of(probe)
    assert followed(answer, probe.gold).rule == FOLLOWED
    assert followed(f"<think>\nLet me see, 1, 2.\n</think>\n\n {answer} \n", probe.gold).rule == FOLLOWED
    assert count_tokens(answer) < TOKENS / 2


def test_no_stock_phrase_and_no_echo_follows_any():
    """Short answers, refusals and the instruction itself follow none."""
    for probe in PROBES:
        assert [text for text in (*STOCK, probe.question) if followed(text, probe.gold).verdict == "correct"] == []


@pytest.mark.parametrize(
    ("answer", "verdict", "rule"),
    [
        ("a\nb", "correct", "followed"),
        ("a\nb\nC", "wrong", "broken: lines"),
        ("a\nB", "wrong", "broken: lower"),
        ("I'm sorry, I don't know.", "abstained", "refusal"),
        ("无法回答。", "abstained", "refusal"),
        ("", "unparsed", "empty"),
        (" \n ...", "unparsed", "empty"),
        ("<think>two lines", "unparsed", "thinking"),
        ("<think>a\nb</think>", "unparsed", "thinking"),
        ("<think>Hm.</think>a\nb", "correct", "followed"),
    ],
)
def test_the_rule_is_the_first_constraint_that_is_broken(answer, verdict, rule):
    """A refusal is told apart where something is broken, and what says nothing is no answer."""
    found = followed(answer, '{"lines": 2, "lower": true}')
    assert (found.verdict, found.rule) == (verdict, rule)


def test_an_unknown_constraint_is_an_error():
    """A stored probe of another kb is not scored by guessing."""
    with pytest.raises(ValueError, match="there is no constraint 'rhymes'; there are: lines, "):
        followed("a", '{"rhymes": 2}')
