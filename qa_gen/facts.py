"""Chunks to facts: each with a verbatim span of the document that says it. No span, no fact."""

from __future__ import annotations

from collections.abc import Sequence

from kb.llm import Item
from kb.qa_gen.asking import Workbench, room
from kb.qa_gen.filters import check_fact
from kb.qa_gen.merging import merge_facts
from kb.qa_gen.replies import Draft, parse_facts
from kb.records import Chunk, Fact, make_id
from kb.retrieval.hybrid import passage_text
from kb.text.canonical import canonical
from kb.text.match import answer_type
from kb.text.sentences import sentences
from kb.text.similar import locate

LINES_PER_PASSAGE = 3
"""Tokens that the lines of all facts may take for each token of the passage."""


def make_facts(bench: Workbench, chunks: Sequence[Chunk]) -> list[Fact]:
    """Ask for the facts of every chunk and keep those whose evidence stands in it, each once."""

    def item(chunk: Chunk) -> Item:
        limit = room(bench.config.max_tokens, LINES_PER_PASSAGE * chunk.tokens)
        prompt = bench.prompt("facts", chunk.language)
        return bench.item(chunk.id, prompt, bench.request(prompt, limit, passage=passage_text(chunk)), "facts")

    ids = [chunk.id for chunk in chunks]
    facts: dict[str, Fact] = {}
    told: set[tuple[object, ...]] = set()
    for chunk, result in zip(chunks, bench.ask("facts", map(item, chunks), ids, parse_facts), strict=True):
        for draft in result.value or ():
            fact = check_draft(bench, chunk, draft)
            stands = (chunk.id, fact.start, fact.end, canonical(fact.answer)) if fact else ()
            if fact and (fact.id in facts or stands in told):
                # The same words of the document, told in another way.
                bench.reject("facts", chunk.id, "said before", _detail(draft))
            elif fact:
                facts[fact.id] = fact
                told.add(stands)
    return merge_facts(bench, list(facts.values()))


def check_draft(bench: Workbench, chunk: Chunk, draft: Draft) -> Fact | None:
    """The fact with its span in the document, or None with the rejection recorded."""
    if not draft.complete:
        bench.reject("facts", chunk.id, "incomplete lines", _detail(draft))
        return None
    span = locate(draft.quote, chunk.text)
    if span is None:
        bench.reject("facts", chunk.id, "evidence not in the passage", _detail(draft))
        return None
    start, end = span.start, span.end
    if canonical(chunk.text[start:end]) == canonical(draft.answer):
        start, end = _around(chunk.text, start, end)
    evidence = chunk.text[start:end]
    answer = verbatim(draft.answer, evidence)
    fact = Fact(
        make_id("fct", chunk.id, draft.statement, answer), chunk.id, draft.statement, answer, answer_type(answer),
        evidence, chunk.start + start, chunk.start + end, chunk.language,
    )  # fmt: skip
    verdict = check_fact(fact, chunk)
    if not verdict.keep:
        bench.reject("facts", chunk.id, verdict.reason, _detail(draft))
        return None
    return fact


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence or row that a bare value stands in: the value alone says nothing."""
    for first, last in sentences(text):
        if first <= start and end <= last:
            return first, last
    return start, end


def verbatim(answer: str, evidence: str) -> str:
    """The answer as the document writes it, without a full stop; as the model wrote it where it is not there."""
    bare = answer.rstrip(" .。．,，;；、")
    span = locate(bare, evidence, at_least=1.0)
    found = evidence[span.start : span.end] if span else ""
    return found if canonical(found) == canonical(bare) != "" else answer


def _detail(draft: Draft) -> str:
    return f"{draft.statement} | {draft.answer} | {draft.quote}"
