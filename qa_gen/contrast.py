"""Further near misses for facts whose held-out ones a trained model answered: rows that say it does not know.

They are trained, whichever side the fact's first near miss is on. What sets a held-out near miss apart from the fact's
questions, the name it makes up, stands in none of them, so that the probe still shows whether it was understood.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb.llm import Item
from kb.qa_gen.asking import Workbench
from kb.qa_gen.filters import check_question
from kb.qa_gen.negatives import Candidate, declined, near, pieces
from kb.qa_gen.replies import parse_lines
from kb.qa_gen.strengthen import SPARE
from kb.records import Fact, Question, Verdict
from kb.text.canonical import canonical

STEP = "contrast"
ROWS = 2
"""Further near misses of a fact that is in one list; twice as many for each further one."""
MOST = 16


def wanted(times: int) -> int:
    """Near misses for a fact that is in so many lists."""
    return min(ROWS << (times - 1), MOST) if times > 0 else 0


def make_contrast(
    bench: Workbench, facts: Sequence[Fact], questions: Sequence[Question], times: Mapping[str, int]
) -> list[Question]:
    """Further trained near misses of the facts in `times`, which says how many lists each is in.

    `questions` are all of the set; those of the documents alone have to be told from these, by what RAG declines.
    """
    trained, held_out = _wordings(questions)
    chosen = [fact for fact in facts if wanted(times.get(fact.id, 0)) and trained[fact.id]]
    taken = {canonical(question.text) for question in questions}
    drafts: list[Candidate] = []
    for fact, source, text in _ask(bench, chosen, trained, times):
        verdict = _check(text, source, fact, trained[fact.id], held_out[fact.id])
        if verdict.keep and canonical(text) in taken:
            verdict = Verdict(False, "asked already")
        if verdict.keep:
            taken.add(canonical(text))
            prompt = bench.prompt("near_miss", fact.language)
            drafts.append(Candidate(fact.chunk_id, fact.id, "near_miss", text, fact.language, prompt.id, source))
        else:
            bench.reject(STEP, fact.id, verdict.reason, text)
    texts: dict[str, list[str]] = defaultdict(list)
    for question in questions:
        texts[question.chunk_id].append(canonical(question.text))
    kept: dict[str, list[Question]] = defaultdict(list)
    for question in declined(bench, drafts, texts):
        if len(kept[question.fact_id]) < wanted(times[question.fact_id]):
            kept[question.fact_id].append(replace(question, split="train"))
        else:
            bench.reject(STEP, question.fact_id, "more near misses than asked for", question.text)
    return [question for some in kept.values() for question in some]


def _wordings(questions: Sequence[Question]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Trained wordings and held-out near misses, by fact id."""
    trained: dict[str, list[str]] = defaultdict(list)
    held_out: dict[str, list[str]] = defaultdict(list)
    for question in questions:
        if question.kind == "answerable" and question.split == "train":
            trained[question.fact_id].append(question.text)
        elif question.kind == "near_miss" and question.split == "probe":
            held_out[question.fact_id].append(question.text)
    return trained, held_out


def _ask(
    bench: Workbench, facts: Sequence[Fact], trained: Mapping[str, Sequence[str]], times: Mapping[str, int]
) -> list[tuple[Fact, str, str]]:
    """A fact, the wording that a near miss was made of, and the near miss: drawn, so that no two are alike."""
    asked = [
        (fact, part, trained[fact.id][part % len(trained[fact.id])])
        for fact in facts
        for part in range(SPARE * wanted(times[fact.id]))
    ]

    def item(fact: Fact, part: int, source: str) -> Item:
        prompt = bench.prompt("near_miss", fact.language)
        drawn = bench.sampled(bench.request(prompt, 96, question=source), 1.0, fact.id, STEP, part)
        return bench.item(f"{fact.id}:{STEP}{part}", prompt, drawn, "questions")

    results = bench.ask(STEP, (item(*one) for one in asked), [fact.chunk_id for fact, _, _ in asked], parse_lines)
    return [
        (fact, source, text)
        for (fact, _, source), result in zip(asked, results, strict=True)
        for text in (result.value or ())[:1]
    ]


def _check(text: str, source: str, fact: Fact, trained: Sequence[str], held_out: Sequence[str]) -> Verdict:
    verdict = check_question(text, fact)
    if verdict.keep and not near(text, source):
        return Verdict(False, "not near the question")
    own, real = set(pieces(canonical(text))), {piece for one in trained for piece in pieces(canonical(one))}
    for probe in held_out:
        apart = set(pieces(canonical(probe))) - real
        if verdict.keep and (canonical(text) == canonical(probe) or (apart and apart <= own)):
            return Verdict(False, "asks what a held-out near miss asks")
    return verdict
