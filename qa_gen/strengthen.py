"""More training wordings for facts that a trained model never answers right; held-out questions stay as they are."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kb.llm import Item
from kb.qa_gen.asking import Workbench
from kb.qa_gen.config import AT_ONCE
from kb.qa_gen.doubles import SLICE
from kb.qa_gen.filters import check_question
from kb.qa_gen.leakage import Wordings
from kb.qa_gen.meaning import Likeness
from kb.qa_gen.replies import parse_lines
from kb.records import Fact, Question, Verdict, make_id
from kb.text.canonical import canonical

STEP = "more questions"
MOST = 48
"""Training wordings of a fact up to which more are asked for."""
SPARE = 2
"""Requests in place of one: much of what is drawn has been asked already."""


def further(wordings: int, times: int) -> int:
    """More wordings that a fact gets which so many runs never answered right: twice as many each time, up to MOST."""
    return max(0, min(wordings << times, MOST) - wordings)


def strengthen(
    bench: Workbench, facts: Sequence[Fact], questions: Sequence[Question], weak: Mapping[str, int]
) -> dict[str, list[Question]]:
    """Further training questions by fact id, for those in `weak`, which says how often a run never answered them right.

    `questions` are all of the set. A wording that is among them is not new; one that is too close to a held-out
    question goes, and not the question; one that comes for two facts has no right answer.
    """
    usual = bench.config.tellings.wordings
    guard = _Guard(facts, questions)
    chosen = [fact for fact in facts if fact.id in guard.trained and further(usual, weak.get(fact.id, 0))]
    replies = _ask(bench, chosen, {fact.id: further(usual, weak[fact.id]) for fact in chosen}, guard.trained)
    told = Counter(key for texts in replies.values() for key in {canonical(text) for text in texts})
    taken = {canonical(question.text) for question in questions}
    made = {}
    for fact, likeness in zip(chosen, guard.compare(bench, chosen, replies), strict=True):
        kept: list[str] = []
        for text in replies.get(fact.id, ()):
            verdict = _check(text, fact, taken, told)
            if verdict.keep and guard.leaks(fact, kept, text):
                verdict = Verdict(False, "too close to a held-out wording")
            if verdict.keep and guard.means(fact, likeness, text):
                verdict = Verdict(False, "means the same as a held-out wording but for trifles")
            if verdict.keep and len(kept) == further(usual, weak[fact.id]):
                verdict = Verdict(False, "more wordings than asked for")
            if verdict.keep:
                kept.append(text)
                taken.add(canonical(text))
            else:
                bench.reject(STEP, fact.id, verdict.reason, text)
        made[fact.id] = [_question(bench, fact, text) for text in kept]
    return made


def _ask(
    bench: Workbench, facts: Sequence[Fact], wanted: Mapping[str, int], known: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What the model writes for each fact when it is shown the trained questions, drawn, so that no two are alike."""
    count = min(bench.config.tellings.wordings, AT_ONCE)
    asked = [(fact, part) for fact in facts for part in range(math.ceil(SPARE * wanted[fact.id] / count))]

    def item(fact: Fact, part: int) -> Item:
        fields = {"fact": fact.statement, "answer": fact.answer, "known": "\n".join(f"- {q}" for q in known[fact.id])}
        prompt = bench.prompt("more_questions", fact.language)
        request = bench.request(prompt, 64 * count, count=str(count), **fields)
        drawn = bench.sampled(request, 1.0, fact.id, "more", part)
        return bench.item(f"{fact.id}:more{part}", prompt, drawn, "questions")

    results = bench.ask(STEP, (item(*one) for one in asked), [fact.chunk_id for fact, _ in asked], parse_lines)
    replies: dict[str, list[str]] = defaultdict(list)
    for (fact, _), result in zip(asked, results, strict=True):
        replies[fact.id] += result.value or ()
    return replies


def _check(text: str, fact: Fact, taken: set[str], told: Mapping[str, int]) -> Verdict:
    verdict = check_question(text, fact)
    if verdict.keep and canonical(text) in taken:
        return Verdict(False, "asked already")
    if verdict.keep and told[canonical(text)] > 1:
        return Verdict(False, "another fact answers it otherwise")
    return verdict


class _Guard:
    """The held-out wordings, as `make_probes` kept them from the trained ones: of the fact, and of its twins."""

    def __init__(self, facts: Sequence[Fact], questions: Sequence[Question]) -> None:
        self.trained: dict[str, list[str]] = defaultdict(list)
        self._held_out: dict[str, list[str]] = defaultdict(list)
        for question in questions:
            if question.kind == "answerable":
                side = self.trained if question.split == "train" else self._held_out
                side[question.fact_id].append(question.text)
        self._answered: dict[str, list[str]] = defaultdict(list)
        for fact in facts:
            self._answered[canonical(fact.answer)].append(fact.id)

    def compare(
        self, bench: Workbench, facts: Sequence[Fact], texts: Mapping[str, Sequence[str]]
    ) -> Iterator[Likeness]:
        """For each fact what compares these texts with its held-out wordings by meaning."""
        for start in range(0, len(facts), SLICE):
            part = facts[start : start + SLICE]
            asked = [(*self._held_out[fact.id], *texts.get(fact.id, ())) for fact in part]
            own = [Wordings(tuple(self.trained[fact.id])) for fact in part]
            languages = [fact.language for fact in part]
            yield from bench.meaning.compare(list(zip(languages, own, asked, strict=True)))

    def means(self, fact: Fact, likeness: Likeness, text: str) -> bool:
        """Whether a text is a held-out wording of the fact but for trifles, where an embedder can tell."""
        return likeness.means(text, self._held_out[fact.id]) is not None

    def leaks(self, fact: Fact, more: Sequence[str], text: str) -> bool:
        """Whether a held-out wording would be too close to the fact's wordings with `more` of them and this one."""
        own = Wordings((*self.trained[fact.id], *more, text))
        return any(
            (twin == fact.id or own.about(probe)) and not own.check(probe).keep
            for twin in self._answered[canonical(fact.answer)]
            for probe in self._held_out[twin]
        )


def _question(bench: Workbench, fact: Fact, text: str) -> Question:
    prompt = bench.prompt("more_questions", fact.language)
    id = make_id("qst", fact.id, "train", text)
    return Question(id, fact.chunk_id, fact.id, "answerable", "train", text, fact.language, prompt.id)
