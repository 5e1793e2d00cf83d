"""Chunks told in other words: prose to train on beside the questions.

Repeating a text teaches little, many different tellings teach much: of one 7 B model, 10% closed-book accuracy with a
text repeated, 36% with one varied rewrite and 75% with forty, prose and questions mixed. Three styles, each in as many
versions as `[generate] rewrites` says. Only chunks that facts came from are rewritten, and a rewrite has to state them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from kb.llm import Item, Request
from kb.qa_gen.asking import Workbench, room
from kb.qa_gen.filters import in_language, states
from kb.qa_gen.replies import parse_answer
from kb.qa_gen.standalone import points_at_source
from kb.qa_gen.teaching import withheld_chunks
from kb.records import KEEP, Chunk, Fact, Rewrite, Verdict, make_id
from kb.retrieval.hybrid import passage_text
from kb.text.canonical import canonical
from kb.text.characters import plain
from kb.text.numerals import numbers
from kb.text.similar import ngram_jaccard

STYLES = ("plain", "explanatory", "dense")
STATED = 0.8
"""Share of the chunk's facts that a rewrite has to state."""
COPIED = 0.9
"""Likeness to the chunk, by n-grams, from which a rewrite is a copy."""
TEMPERATURE = 0.8
"""Of all versions but the first, which is greedy."""
ROOM = 512
"""Token limit of the shortest rewrites, doubled for long chunks."""
_NUMBERED = re.compile(r"^\s*(?:[0-9]{1,2}[.)、]|[-*•])\s+", re.MULTILINE)


def make_rewrites(bench: Workbench, facts: Sequence[Fact], chunks: Sequence[Chunk]) -> list[Rewrite]:
    """The usable rewrites of every chunk that has facts, each text once; none where a fact is never to be taught."""
    withheld = withheld_chunks(facts)
    stated: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.chunk_id not in withheld:
            stated.setdefault(fact.chunk_id, []).append(fact)
    wanted = [
        (chunk, style, version)
        for chunk in chunks
        if chunk.id in stated
        for style in STYLES
        for version in range(bench.config.tellings.rewrites)
    ]
    items = (_item(bench, chunk, style, version, stated[chunk.id]) for chunk, style, version in wanted)
    asked = bench.ask("rewrites", items, [chunk.id for chunk, _, _ in wanted], parse_answer)
    kept: dict[tuple[str, str], Rewrite] = {}
    for (chunk, style, _), result in zip(wanted, asked, strict=True):
        if result.value is None:
            continue
        verdict = check_rewrite(result.value, chunk, stated[chunk.id])
        key = (chunk.id, canonical(result.value))
        if not verdict.keep:
            bench.reject("rewrites", chunk.id, verdict.reason, result.value)
        elif key in kept:
            bench.reject("rewrites", chunk.id, "the same text twice", result.value)
        else:
            prompt = bench.prompt(f"rewrite_{style}", chunk.language)
            id = make_id("rew", chunk.id, style, result.value)
            kept[key] = Rewrite(id, chunk.id, style, result.value, chunk.language, prompt.id)
    return list(kept.values())


def _item(bench: Workbench, chunk: Chunk, style: str, version: int, facts: Sequence[Fact]) -> Item:
    """The request for one version of one style."""
    prompt = bench.prompt(f"rewrite_{style}", chunk.language)
    listed = "\n".join(f"- {fact.statement}" for fact in facts)
    request: Request = bench.request(prompt, room(ROOM, 1.5 * chunk.tokens), passage=passage_text(chunk), facts=listed)
    if version:
        request = bench.sampled(request, TEMPERATURE, chunk.id, style, version)
    return bench.item(f"{chunk.id}:{style}:{version}", prompt, request)


def check_rewrite(text: str, chunk: Chunk, facts: Sequence[Fact]) -> Verdict:
    """A rewrite states the chunk's facts, no figure that the chunk lacks, alone and in its language, in other words."""
    source = f"{chunk.header}\n{chunk.text}"
    if not in_language(text, chunk.language, source):
        return Verdict(False, "rewrite in another language")
    if points_at_source(text):
        return Verdict(False, "rewrite does not stand alone")
    if ngram_jaccard(text, chunk.text) > COPIED:
        return Verdict(False, "rewrite copies the passage")
    if sum(states(text, fact) for fact in facts) < STATED * len(facts):
        return Verdict(False, "rewrite leaves out facts")
    if figures(text) - figures(source):
        return Verdict(False, "rewrite has a figure that the passage lacks")
    return KEEP


def figures(text: str) -> set[Decimal]:
    """The values of the numbers in a text; whole ones below ten, which count what anyone may count, left out."""
    values = {number.value for number in numbers(plain(_NUMBERED.sub("", text)))}
    return {value for value in values if value >= 10 or value != value.to_integral_value()}
