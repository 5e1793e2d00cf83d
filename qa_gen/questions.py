"""Facts to question wordings: one prompt family writes those that are trained, another those that are held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kb.llm import Item
from kb.prompt import Prompt
from kb.qa_gen.asking import Workbench
from kb.qa_gen.config import AT_ONCE
from kb.qa_gen.doubles import Draft, sift
from kb.qa_gen.filters import check_question
from kb.qa_gen.leakage import Trained
from kb.qa_gen.replies import parse_lines
from kb.records import Fact, Question, Verdict, make_id
from kb.text.canonical import canonical
from kb.text.match import same

Check = Callable[[str, Fact], Verdict]
Build = Callable[[Fact], tuple[Prompt, dict[str, str]]]


def make_questions(bench: Workbench, facts: Sequence[Fact]) -> dict[str, list[Question]]:
    """Training wordings by fact id; a fact without enough of them is not in it."""

    def build(fact: Fact) -> tuple[Prompt, dict[str, str]]:
        return bench.prompt("questions", fact.language), {"fact": fact.statement, "answer": fact.answer}

    return _write(bench, "questions", "train", bench.config.tellings.wordings, facts, build)


def make_probes(
    bench: Workbench, facts: Sequence[Fact], trained: dict[str, list[Question]]
) -> dict[str, list[Question]]:
    """Held-out wordings by fact id: none close to a trained one of its fact, none a trained one of any fact.

    Nor close to one of a fact with the same answer about the same thing: two documents often state one fact. Close is
    what has nearly the same letters and, where an embedder can tell, what means the same but for trifles.
    """
    apart = Trained.of(facts, trained)

    def build(fact: Fact) -> tuple[Prompt, dict[str, str]]:
        first = trained[fact.id][0].text
        fields = {"question": first, "fact": fact.statement, "answer": fact.answer}
        return bench.prompt("probes", fact.language), fields

    return _write(bench, "probes", "probe", bench.config.wordings, facts, build, apart)


def _write(
    bench: Workbench,
    step: str,
    split: str,
    wanted: int,
    facts: Sequence[Fact],
    build: Build,
    trained: Trained | None = None,
) -> dict[str, list[Question]]:
    """Ask for `wanted` wordings of every fact, filter them, and keep the facts that have enough.

    A model writes so many good ones at once; for more it is asked again, sampled, so that it writes others.
    """
    parts = math.ceil(wanted / AT_ONCE)
    asked = [(fact, part) for fact in facts for part in range(parts)]
    items = (_item(bench, step, fact, part, min(wanted, AT_ONCE), *build(fact)) for fact, part in asked)
    results = bench.ask(step, items, [fact.chunk_id for fact, _ in asked], parse_lines)
    replies: dict[str, list[str]] = {}
    for (fact, _), result in zip(asked, results, strict=True):
        # A failed request is recorded as that, and a fact without any answer waits for the next run.
        if result.value is not None:
            replies.setdefault(fact.id, []).extend(result.value)
    check = trained.check if trained else check_question
    drafts = [
        Draft(fact, filtered(bench, step, fact, replies.pop(fact.id), check)) for fact in facts if fact.id in replies
    ]
    written: list[tuple[Fact, list[Question]]] = []
    for draft in sift(bench, step, drafts, wanted, trained):
        prompt, _ = build(draft.fact)
        written.append((draft.fact, [_question(draft.fact, split, text, prompt) for text in draft.texts]))
    kept = {}
    for fact, questions in _apart(bench, step, written):
        if len(questions) >= bench.config.min_wordings:
            kept[fact.id] = questions
        else:
            reason = f"fewer than {bench.config.min_wordings} usable {step}"
            bench.reject("facts", fact.id, reason, f"{fact.statement} | {len(questions)}")
    return kept


def _item(
    bench: Workbench, step: str, fact: Fact, part: int, count: int, prompt: Prompt, fields: dict[str, str]
) -> Item:
    """The request for some wordings of a fact; all but the first are sampled."""
    request = bench.request(prompt, 64 * count, count=str(count), **fields)
    if not part:
        return bench.item(fact.id, prompt, request, "questions", step)
    return bench.item(f"{fact.id}:{part}", prompt, bench.sampled(request, 1.0, fact.id, part), "questions", step)


def _question(fact: Fact, split: str, text: str, prompt: Prompt) -> Question:
    id = make_id("qst", fact.id, split, text)
    return Question(id, fact.chunk_id, fact.id, "answerable", split, text, fact.language, prompt.id)


def filtered(
    bench: Workbench, step: str, fact: Fact, texts: Sequence[str], check: Check, wanted: int | None = None
) -> list[str]:
    """The usable wordings, each once, `wanted` at most where that is given."""
    kept: dict[str, str] = {}
    for text in texts:
        verdict = check(text, fact)
        key = canonical(text)
        if not verdict.keep:
            bench.reject(step, fact.id, verdict.reason, text)
        elif key in kept:
            bench.reject(step, fact.id, "the same wording twice", text)
        elif len(kept) == wanted:
            bench.reject(step, fact.id, "more wordings than asked for", text)
        else:
            kept[key] = text
    return list(kept.values())


def _apart(
    bench: Workbench, step: str, written: Sequence[tuple[Fact, list[Question]]]
) -> list[tuple[Fact, list[Question]]]:
    """The facts whose questions are theirs alone.

    Facts that share a wording and the answer are one fact, told twice: the first stays. A wording to which two facts
    have different answers has no right one, and goes from both.
    """
    first: dict[str, Fact] = {}
    twice: dict[str, Fact] = {}
    ambiguous: set[str] = set()
    for fact, questions in written:
        for key in (canonical(question.text) for question in questions):
            other = first.setdefault(key, fact)
            if other.id == fact.id:
                continue
            if same(other.answer, fact.answer, fact.answer_type):
                twice[fact.id] = other
            else:
                ambiguous.add(key)
    kept = []
    for fact, questions in written:
        if fact.id in twice:
            bench.say_again(twice[fact.id], fact)
            continue
        for question in questions:
            if canonical(question.text) in ambiguous:
                bench.reject(step, fact.id, "another fact answers it otherwise", question.text)
        kept.append((fact, [question for question in questions if canonical(question.text) not in ambiguous]))
    return kept
