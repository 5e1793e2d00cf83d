"""Questions the documents do not answer: near misses of real ones, and what a passage leaves open.

Each is put to the model with retrieved passages; only those it declines to answer are kept. Half become refusal rows
for training, half are held out as probes, all of one fact or one chunk on the same side. (`contrast` adds trained ones
of facts whose held-out ones were answered, apart from these.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kb.llm import Item
from kb.prompt import Prompt
from kb.qa_gen.answers import SHORT_TOKENS
from kb.qa_gen.asking import Workbench
from kb.qa_gen.filters import check_open_question, check_question
from kb.qa_gen.replies import parse_answer, parse_lines
from kb.qa_gen.teaching import lot, withheld_chunks
from kb.records import Chunk, Fact, Question, Verdict, make_id
from kb.retrieval.hybrid import passage_text, passages_text
from kb.text.canonical import canonical
from kb.text.characters import UNSPACED
from kb.text.refusal import is_refusal
from kb.text.similar import ngram_jaccard
from kb.text.terms import EMPTY

ASKED_ALREADY = 0.7
"""Likeness to a real question from which a negative that names the same is that question in other words."""
NEAR = 0.25
"""Likeness that a near miss needs to the question it was made of."""
_PIECE = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]+")


@dataclass(frozen=True)
class Candidate:
    """A question that is thought to have no answer in the documents."""

    chunk_id: str
    fact_id: str
    """The fact it is a near miss of; empty for unanswerable ones."""
    kind: str
    text: str
    language: str
    prompt: str
    made_of: str = ""
    """The question that a near miss was made of."""


def make_negatives(
    bench: Workbench,
    facts: Sequence[Fact],
    asked: Sequence[Question],
    trained: dict[str, list[Question]],
    chunks: Sequence[Chunk],
) -> list[Question]:
    """Near-miss and unanswerable questions that RAG declines to answer and that are none of those `asked`.

    Near misses are made of some facts' last training wording; chunks without a fact are not asked. Of facts that no
    question teaches, and of chunks that are never trained, only those for probes are made.
    """
    withheld = withheld_chunks(facts)
    telling = {
        fact.chunk_id
        for fact in facts
        if fact.chunk_id not in withheld or _side("unanswerable", fact.chunk_id) == "probe"
    }
    texts: dict[str, list[str]] = defaultdict(list)
    for question in asked:
        texts[question.chunk_id].append(canonical(question.text))
    taken = {text for some in texts.values() for text in some}
    drafts = [
        *_near_misses(bench, facts, trained),
        *_unanswerable(bench, [chunk for chunk in chunks if chunk.id in telling]),
    ]
    fresh: dict[str, Candidate] = {}
    for draft in drafts:
        key = canonical(draft.text)
        if key in taken or key in fresh:
            bench.reject(draft.kind, draft.chunk_id, "asked already", draft.text)
        else:
            fresh[key] = draft
    return declined(bench, list(fresh.values()), texts)


def _side(kind: str, owner: str) -> str:
    """The side that all negatives of a fact or chunk join."""
    return "train" if lot("split", kind, owner) < 0.5 else "probe"


def _near_misses(bench: Workbench, facts: Sequence[Fact], trained: dict[str, list[Question]]) -> list[Candidate]:
    some = [fact for fact in facts if lot("near miss", fact.id) < bench.config.near_miss_share]
    # A refusal beside a fact that no question may teach would be a trained row about it.
    chosen = [fact for fact in some if fact.taught == "questions" or _side("near_miss", fact.id) == "probe"]
    prompts = [bench.prompt("near_miss", fact.language) for fact in chosen]

    def item(fact: Fact, prompt: Prompt) -> Item:
        request = bench.request(prompt, 96, question=trained[fact.id][-1].text)
        # Sampled: the likeliest other name would be the same for every question.
        sampled = replace(request, temperature=1.0, seed=int(lot("seed", fact.id) * 2**31))
        return bench.item(fact.id, prompt, sampled, "questions")

    made = []
    results = bench.ask("near misses", map(item, chosen, prompts), [fact.chunk_id for fact in chosen], parse_lines)
    for fact, prompt, result in zip(chosen, prompts, results, strict=True):
        for text in (result.value or ())[:1]:
            verdict = check_question(text, fact)
            if not near(text, trained[fact.id][-1].text):
                verdict = Verdict(False, "not near the question")
            if verdict.keep:
                source = trained[fact.id][-1].text
                made.append(Candidate(fact.chunk_id, fact.id, "near_miss", text, fact.language, prompt.id, source))
            else:
                bench.reject("near_miss", fact.id, verdict.reason, text)
    return made


def near(text: str, question: str) -> bool:
    """Whether a text is near enough to the question that it was made of."""
    return ngram_jaccard(text, question) >= NEAR


def _unanswerable(bench: Workbench, chunks: Sequence[Chunk]) -> list[Candidate]:
    if not bench.config.unanswerable:
        return []
    count = str(bench.config.unanswerable)
    prompts = [bench.prompt("unanswerable", chunk.language) for chunk in chunks]
    items = (
        bench.item(chunk.id, prompt, bench.request(prompt, 256, passage=passage_text(chunk), count=count), "questions")
        for chunk, prompt in zip(chunks, prompts, strict=True)
    )
    made = []
    results = bench.ask("unanswerable", items, [chunk.id for chunk in chunks], parse_lines)
    for chunk, prompt, result in zip(chunks, prompts, results, strict=True):
        for text in (result.value or ())[: bench.config.unanswerable]:
            verdict = check_open_question(text, chunk.language, passage_text(chunk))
            if verdict.keep:
                made.append(Candidate(chunk.id, "", "unanswerable", text, chunk.language, prompt.id))
            else:
                bench.reject("unanswerable", chunk.id, verdict.reason, text)
    return made


def declined(bench: Workbench, drafts: Sequence[Candidate], asked: Mapping[str, list[str]]) -> list[Question]:
    """Those that the model declines to answer from retrieved passages, and that no real question is like.

    `asked` are the real ones of each chunk, in canonical form.
    """

    def item(draft: Candidate, hits: Sequence[Chunk]) -> Item:
        prompt = bench.prompt("rag", draft.language, shared=True)
        request = bench.request(prompt, SHORT_TOKENS, passages=passages_text(hits), question=draft.text)
        return bench.item(make_id("neg", draft.chunk_id, draft.text), prompt, request)

    shown, left = [], []
    for draft, hits in zip(drafts, bench.search([draft.text for draft in drafts]), strict=True):
        if _is_real(draft, [other for root in {hit.root for hit in hits} for other in asked.get(root, ())]):
            bench.reject(draft.kind, draft.chunk_id, "asked already", draft.text)
        else:
            left.append(draft)
            shown.append(hits)
    kept = []
    results = bench.ask("negatives", map(item, left, shown), [draft.chunk_id for draft in left], parse_answer)
    for draft, result in zip(left, results, strict=True):
        if result.value is None:
            continue
        if is_refusal(result.value):
            kept.append(_question(draft))
        else:
            bench.reject(draft.kind, draft.chunk_id, "the passages answer it", f"{draft.text} | {result.value}")
    return kept


def _is_real(draft: Candidate, real: Sequence[str]) -> bool:
    """Whether one of these questions, in canonical form, asks the draft in other words.

    It has whatever sets the draft apart from the question it was made of, and is like it otherwise.
    """
    own = pieces(canonical(draft.text))
    apart = set(own).difference(pieces(canonical(draft.made_of)))
    # Most lack a letter of it already: cutting all of them up would take longer than the rest of the step.
    likely = (pieces(other) for other in real if all(piece in other for piece in apart))
    return any(
        apart.issubset(other) and ngram_jaccard(" ".join(own), " ".join(other)) > ASKED_ALREADY for other in likely
    )


def pieces(text: str) -> tuple[str, ...]:
    """The words and Han characters of a canonical text without the empty ones, in reading order."""
    return tuple(piece for piece in _PIECE.findall(text) if piece not in EMPTY)


def _question(draft: Candidate) -> Question:
    id = make_id("qst", draft.chunk_id, draft.kind, draft.text)
    split = _side(draft.kind, draft.fact_id or draft.chunk_id)
    return Question(id, draft.chunk_id, draft.fact_id, draft.kind, split, draft.text, draft.language, draft.prompt)
