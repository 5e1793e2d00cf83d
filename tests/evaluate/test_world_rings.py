"""The rings that come with kb, row by row: their answers are scored right, and nothing of them is trained."""

import re
from collections import Counter
from pathlib import Path

import pytest
from rapidfuzz.fuzz import ratio
from rapidfuzz.process import cdist

import kb.qa_gen
from kb.evaluate.probes import RINGS, WORLD, ring_probes, rings_asked, rings_said
from kb.llm.general import general_chats
from kb.text.canonical import canonical
from kb.text.match import judge

ROWS = ring_probes(WORLD)
SENTENCES = {
    "en": ("{}", "{}.", "The answer is {}.", "It is {}.", "It's {}.", "**{}**"),
    "zh": ("{}", "{}。", "答案是{}。", "应该是{}。", "是{}。", "**{}**"),
}
"""What a model puts around an answer."""
CLOSE = 80
"""Of 100: what has more of its letters in common is the same question, or one of the same pattern."""


def of(ring: str, language: str):
    """The rows of a ring in a language."""
    return [row for row in ROWS if (row.kind, row.language) == (ring, language)]


def said(row, answer: str) -> str:
    """The verdict on an answer."""
    return judge(answer, row.gold, row.answer_type, row.aliases).verdict


def test_every_ring_is_there_in_both_languages():
    """As many in Chinese as in English, enough for an interval."""
    counts = Counter((row.kind, row.language) for row in ROWS)
    assert {ring for ring, _ in counts} == set(RINGS)
    for ring in RINGS:
        least = 120 if ring == "known" else 40
        assert all(counts[ring, language] >= least for language in ("en", "zh")), ring


@pytest.mark.slow
def test_every_answer_is_right_by_itself_and_in_a_sentence():
    """The gold as models write it, and every alias by itself; a refusal is none of them."""
    for row in ROWS:
        if row.gold:
            wrong = [text for text in SENTENCES[row.language] if said(row, text.format(row.gold)) != "correct"]
            wrong += [alias for alias in row.aliases if said(row, alias) != "correct"]
            assert not wrong, (row.question, wrong)
            assert said(row, {"en": "I don't know.", "zh": "我不知道。"}[row.language]) == "abstained"


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("ring", ["known", "reading"])
def test_the_answer_to_another_question_is_wrong(ring, language):
    """Each gold is held against every other of its type: what guesses the type has nothing right."""
    for row in of(ring, language):
        others = {one.gold for one in of(ring, language) if one.answer_type == row.answer_type} - {row.gold}
        taken = [gold for gold in others if said(row, gold) == "correct"]
        assert not taken, (row.question, row.gold, taken)


def test_no_question_gives_its_answer_away_and_every_passage_holds_it():
    """The gold stands in the passage that is to be read, beside other values, and in no question."""
    for row in ROWS:
        gold = canonical(row.gold)
        if len(gold) > 1:
            assert gold not in canonical(row.question) or row.answer_type == "number", row.question
        if row.kind == "reading":
            number = re.match(r"\d+", row.gold)
            assert gold in canonical(row.passages) or number, row.question


@pytest.mark.slow
def test_nothing_that_is_replayed_or_shown_comes_near_a_question():
    """Neither the general prompts, which are replayed in training, nor a line of the prompts that make the set."""
    chats = [chat.messages[-1].content for part in ("replay", "watch") for chat in general_chats(part)]
    prompts = Path(kb.qa_gen.__path__[0], "prompts").glob("*.txt")
    shown = [line for file in prompts for line in file.read_text(encoding="utf-8").splitlines()]
    forms = [canonical(text) for text in (*chats, *shown)]
    for row, likeness in zip(ROWS, cdist([canonical(row.question) for row in ROWS], forms, scorer=ratio), strict=True):
        assert likeness.max() < CLOSE, (row.question, forms[likeness.argmax()])


def test_what_nobody_can_know_is_asked_as_what_can_be_known():
    """Refusing by the look of a question gains nothing: the first words of the unanswerable ones begin answerable ones
    too.
    """
    starts = {row.question.split()[0] for row in of("known", "en")}
    assert all(row.question.split()[0] in starts for row in of("never", "en"))
    ends = {row.question[-3:] for row in of("known", "zh")}
    shared = [row for row in of("never", "zh") if row.question[-3:] in ends]
    assert len(shared) >= 0.8 * len(of("never", "zh"))


def test_few_are_asked_with_a_limit_and_none_without_a_tuned_model():
    """At even distances, of every ring and language; a file of one's own is asked whole."""
    few = rings_asked(WORLD, 5, True)
    assert set(Counter((row.kind, row.language) for row in few).values()) <= {4, 5}
    assert len({(row.kind, row.language) for row in few}) == 2 * len(RINGS)
    assert rings_asked(WORLD, 0, True) == ROWS
    assert rings_asked(WORLD, 0, False) == rings_asked(WORLD, 5, False) == []


def test_rings_of_ones_own_are_asked_without_a_tuned_model(tmp_path):
    """Somebody chose them; a limit is one for them as for those of kb."""
    own = tmp_path / "rings.jsonl"
    own.write_text(WORLD.read_text(encoding="utf-8"), encoding="utf-8")
    assert rings_asked(own, 0, False) == ROWS
    assert rings_asked(own, 5, False) == rings_asked(WORLD, 5, True)


def test_what_is_said_of_the_rings(tmp_path):
    """Their number and their source, and none where there is no file."""
    own = tmp_path / "rings.jsonl"
    said = [rings_said(ROWS[:1], *pair) for pair in ((WORLD, None), (own, tmp_path), (own, None), (None, None))]
    assert said == ["1 question of kb", "1 question of the model", f"1 question of {own}", "none"]
    assert rings_said([], WORLD, None) == "0 questions of kb"
