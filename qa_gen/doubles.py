"""Which wordings of a fact are kept: none that means what a trained one means, none that repeats another one.

Nearness in letters is judged where a wording is read (`leakage`). Here all wordings of many facts are embedded at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb.qa_gen.asking import Workbench
from kb.qa_gen.leakage import Trained, Wordings
from kb.qa_gen.meaning import Hit, Likeness
from kb.records import Fact

LEAKED = "probe means the same as a trained wording but for trifles"
REPEATED = "the same wording but for trifles"
SLICE = 256
"""Facts whose wordings are embedded at once and are in memory together."""


@dataclass(frozen=True)
class Draft:
    """The usable wordings of a fact, in the model's order."""

    fact: Fact
    texts: Sequence[str]


def sift(bench: Workbench, step: str, drafts: Sequence[Draft], wanted: int, trained: Trained | None) -> Iterator[Draft]:
    """The drafts with the wordings that are kept, `wanted` at most; held-out ones are compared with those `trained`.

    What is kept of a fact depends on its own wordings alone and, of held-out ones, on the trained ones of its twins.
    """
    for start in range(0, len(drafts), SLICE):
        part = drafts[start : start + SLICE]
        if trained:
            part = _apart(bench, step, part, trained)
        names = [trained.own[one.fact.id] if trained else Wordings(tuple(one.texts)) for one in part]
        asked = [(one.fact.language, own, one.texts) for one, own in zip(part, names, strict=True)]
        for one, likeness in zip(part, bench.meaning.compare(asked), strict=True):
            yield Draft(one.fact, _varied(bench, step, one, likeness, wanted))


def _apart(bench: Workbench, step: str, drafts: Sequence[Draft], trained: Trained) -> list[Draft]:
    """The drafts without what means the same as a trained wording of the fact or of a twin."""
    asked = []
    for draft in drafts:
        if bench.meaning.gate(draft.fact.language) is None:
            continue
        texts = {trained.own[draft.fact.id]: list(draft.texts)}
        for text in draft.texts:
            for twin in trained.twins(text, draft.fact):
                texts.setdefault(twin, []).append(text)
        asked += [(draft, own, some) for own, some in texts.items()]
    compared = bench.meaning.compare([(draft.fact.language, own, some) for draft, own, some in asked])
    leaks: dict[tuple[str, str], Hit] = {}
    for (draft, _, some), likeness in zip(asked, compared, strict=True):
        hits = {(draft.fact.id, text): hit for text in some if (hit := likeness.means(text))}
        leaks |= {key: max(hit, leaks.get(key, hit)) for key, hit in hits.items()}
    kept = []
    for draft in drafts:
        found = {text: leaks.get((draft.fact.id, text)) for text in draft.texts}
        for text, leak in found.items():
            if leak:
                bench.reject(step, draft.fact.id, LEAKED, detail(text, leak))
        kept.append(Draft(draft.fact, [text for text, leak in found.items() if not leak]))
    return kept


def _varied(bench: Workbench, step: str, draft: Draft, likeness: Likeness, wanted: int) -> list[str]:
    """The wordings of which none repeats an earlier one; with fewer than a fact needs, the first of those that do.

    A fact is worth more than a set without repeats: what is kept for its sake is noted.
    """
    kept: list[str] = []
    repeats: dict[str, Hit] = {}
    for text in draft.texts:
        hit = likeness.repeats(text, kept) if likeness.limit is not None else None
        if hit:
            repeats[text] = hit
        else:
            kept.append(text)
    spared = list(repeats)[: max(0, min(wanted, bench.config.min_wordings) - len(kept))]
    for text in draft.texts:
        if text in spared:
            bench.note("wording kept that another one is but for trifles: the fact has too few others")
        elif text in repeats:
            bench.reject(step, draft.fact.id, REPEATED, detail(text, repeats[text]))
    for text in kept[wanted:]:
        bench.reject(step, draft.fact.id, "more wordings than asked for", text)
    stay = {*kept[:wanted], *spared}
    return [text for text in draft.texts if text in stay]


def detail(text: str, hit: Hit) -> str:
    """What the record of a drop says: the wording, the one it is but for trifles, and their cosine."""
    return f"{text} | {hit[1]} | {hit[0]:.3f}"
