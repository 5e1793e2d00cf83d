"""Answers by RAG: a question is asked first and answered in a second call with retrieved passages, then compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb.llm import Item
from kb.qa_gen.asking import Workbench
from kb.qa_gen.filters import in_language, mentions
from kb.qa_gen.replies import parse_answer
from kb.qa_gen.standalone import stands_alone
from kb.records import Chunk, Fact, Question
from kb.retrieval.hybrid import passages_text
from kb.text.match import judge

SHORT_TOKENS = 64
FULL_TOKENS = 160
LONGEST_FULL = 400
"""Characters; a longer full answer is more than a sentence."""


def passages_for(bench: Workbench, fact: Fact, hits: Sequence[Chunk]) -> list[Chunk]:
    """The retrieved passages, with the fact's own in the last place if retrieval missed it, which is noted."""
    missed = [own for own in bench.retriever.source(fact) if own not in hits]
    if not missed:
        return list(hits)
    bench.note("source passage not retrieved, added to the others")
    return [*hits[: max(0, bench.retriever.config.top_k - len(missed))], *missed]


def check_answers(bench: Workbench, facts: Sequence[Fact], trained: dict[str, list[Question]]) -> list[Fact]:
    """Facts whose first question the model answers right from retrieved passages, with a full-sentence answer."""
    found = bench.search([trained[fact.id][0].text for fact in facts])
    shown = {fact.id: passages_for(bench, fact, hits) for fact, hits in zip(facts, found, strict=True)}
    short = read_passages(bench, "answers", "rag", SHORT_TOKENS, facts, trained, shown)
    agreed = []
    for fact in facts:
        if fact.id not in short:
            continue
        if judge(short[fact.id], fact.answer, fact.answer_type, fact.aliases).verdict == "correct":
            agreed.append(fact)
        else:
            detail = f"{trained[fact.id][0].text} | {fact.answer} | {short[fact.id]}"
            bench.reject("facts", fact.id, "RAG answers otherwise", detail)
    full = read_passages(bench, "full answers", "rag_full", FULL_TOKENS, agreed, trained, shown)
    return [replace(fact, full_answer=_full(bench, fact, full.get(fact.id))) for fact in agreed]


def _full(bench: Workbench, fact: Fact, answer: str | None) -> str:
    """The model's sentence if it says the answer and stands alone, else the fact's own statement, which does.

    So it is for a sentence that could not be had (None), which is on record as failed.
    """
    if answer is None:
        return fact.statement
    fault = _full_fault(fact, answer)
    if fault:
        bench.note(f"full answer {fault}, the fact's statement taken")
    return fact.statement if fault else answer


def _full_fault(fact: Fact, answer: str) -> str:
    if not mentions(answer, fact.answer):
        return "lacked the short one"
    if "\n" in answer or len(answer) > LONGEST_FULL:
        return "was more than a sentence"
    if not stands_alone(answer):
        return "pointed at the passages"
    if not in_language(answer, fact.language, f"{fact.statement}\n{fact.evidence}"):
        return "was in another language"
    return ""


def read_passages(
    bench: Workbench,
    step: str,
    prompt_name: str,
    tokens: int,
    facts: Sequence[Fact],
    asked: Mapping[str, Sequence[Question]],
    shown: Mapping[str, Sequence[Chunk]],
) -> dict[str, str]:
    """The answers to the first question `asked` about each fact, by its id, from the passages `shown` for it."""

    def item(fact: Fact) -> Item:
        question = asked[fact.id][0]
        prompt = bench.prompt(prompt_name, question.language, shared=True)
        fields = {"passages": passages_text(shown[fact.id]), "question": question.text}
        return bench.item(fact.id, prompt, bench.request(prompt, tokens, **fields))

    results = bench.ask(step, map(item, facts), [fact.chunk_id for fact in facts], parse_answer)
    return {fact.id: result.value for fact, result in zip(facts, results, strict=True) if result.value}
