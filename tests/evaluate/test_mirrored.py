"""The same world in English and in Chinese: the same answers, said as each language says them, get the same figures."""

import random
from dataclasses import asdict

import pytest

from kb.evaluate.arms import ARMS, Asked
from kb.evaluate.scorers import score
from kb.evaluate.summary import summarise
from kb.llm import Completion, Item, Request, Result, user
from kb.records import Probe

WORDINGS = 4
NAMES = (("Mara Ellin", "林若安"), ("Tobias Renn", "陈知远"), ("Ines Calder", "周明川"))
LANGUAGES = ("en", "zh")


def money(n):
    """One amount, and another one; in a second form too."""
    return (
        (f"{n},000 crowns", f"{n}000元"),
        (f"{n} thousand crowns", f"{n}千元"),
        (f"{n + 3},000 crowns", f"{n + 3}000元"),
    )


def number(n):
    """Of people, in ten thousands."""
    return (
        (f"{n}0,000 people", f"{n}万人"),
        (f"{n}0000 people", f"{n}0000人"),
        (f"{n + 2}0,000 people", f"{n + 2}万人"),
    )


def date(n):
    """A day, written in two ways, and another day."""
    day = 1 + n % 27
    return (
        (f"{day} March 2021", f"2021年3月{day}日"), (f"2021-03-{day:02d}", f"2021-03-{day:02d}"),
        (f"{day + 1} March 2021", f"2021年3月{day + 1}日"),
    )  # fmt: skip


def code(n):
    """A part number, with other case and spaces, and one digit off."""
    return ((f"TX-{n}5", f"TX-{n}5"), (f"tx-{n}5", f"tx-{n}5"), (f"TX-{n}6", f"TX-{n}6"))


def name(n):
    """A person, with a title, and another person."""
    mine, other = NAMES[n % 3], NAMES[(n + 1) % 3]
    return mine, (f"Dr. {mine[0]}", f"{mine[1]}博士"), other


KINDS = {"money": money, "number": number, "date": date, "code": code, "name": name}
SAID = {
    "exact": lambda right, form, wrong, at: right[at],
    "form": lambda right, form, wrong, at: form[at],
    "sentence": lambda right, form, wrong, at: (f"The answer is {right[0]}.", f"答案是{right[1]}。")[at],
    "marked": lambda right, form, wrong, at: (f"**{right[0]}** [1]", f"**{right[1]}** [1]")[at],
    "thought": lambda right, form, wrong, at: f"<think>{wrong[at]}?</think>{right[at]}",
    "wrong": lambda right, form, wrong, at: wrong[at],
    "hedged": lambda right, form, wrong, at: (f"{right[0]} or {wrong[0]}", f"{right[1]}或{wrong[1]}")[at],
    "denied": lambda right, form, wrong, at: (f"It is not {right[0]}.", f"不是{right[1]}。")[at],
    "declined": lambda right, form, wrong, at: ("I don't know.", "我不知道。")[at],
    "silent": lambda right, form, wrong, at: "",
}  # fmt: skip
"""What is said, by what it is: of right, the right in another form, wrong; in English (0) or Chinese (1)."""
GOOD, BAD = ("exact", "form", "sentence", "marked", "thought"), ("wrong", "hedged", "denied", "declined", "silent")
RATES = {"base": 0.05, "rag": 0.8, "tuned": 0.7, "tuned_rag": 0.9}


def world(facts):
    """Probes and scores of each language: the same facts with the same mistakes."""
    chance, made = random.Random(11), {language: ([], []) for language in LANGUAGES}
    for place, kind in enumerate(list(KINDS) * (facts // len(KINDS))):
        forms = KINDS[kind](12 + place % 60)
        for wording in range(WORDINGS):
            said = {arm: chance.choice(GOOD if chance.random() < rate else BAD) for arm, rate in RATES.items()}
            for at, language in enumerate(LANGUAGES):
                # The same id in both, so that the same facts are drawn.
                probe = Probe(
                    f"prb_{place:03d}_{wording}", f"fct_{place:03d}", "held_out", "?", forms[0][at], kind, language
                )
                asked = Asked(probe, Item(probe.id, Request(user("?"))), ())
                made[language][0].append(probe)
                for arm, how in said.items():
                    text = SAID[how](*forms, at)
                    result = Result(asked.item, text, Completion(text, "stop", "", 9, 3))
                    made[language][1].append(score(ARMS[arm], asked, result))
    return made


@pytest.mark.slow
def test_every_figure_is_the_same_in_both_languages():
    """Shares, intervals, differences, p values and rates: to the last digit, since the mistakes are the same."""
    reports = {}
    for language, (probes, scores) in world(60).items():
        report = asdict(summarise(probes, scores, resamples=1000))
        reports[language] = {key: report[key] for key in ("arms", "comparisons", "retention", "venn")}
    verdicts = {
        language: [(one.probe_id, one.arm, one.verdict) for one in scores]
        for language, (_, scores) in world(60).items()
    }
    assert [pair for pair in zip(*verdicts.values(), strict=True) if pair[0] != pair[1]] == []
    assert reports["en"] == reports["zh"]
    shares = {arm["arm"]: arm["correct"]["value"] for arm in reports["en"]["arms"]}
    for arm, rate in RATES.items():
        assert shares[arm] == pytest.approx(rate, abs=0.1)
