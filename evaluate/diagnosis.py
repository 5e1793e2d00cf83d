"""What is wrong with each fact, and so what is to be done about it: a decision table over the answers of the arms.

An arm knows a fact where more than half of the answers are right, as in the Venn counts. By kind of probe and arm:

| finding            | holds where                                                                                    |
|--------------------|------------------------------------------------------------------------------------------------|
| question_defect    | the base does not know it with the right passage (oracle)                                      |
| retrieval_defect   | it does, and not with what was retrieved (rag)                                                 |
| under_trained      | tuned does not know it, held out nor in a trained wording                                      |
| phrasing_overfit   | tuned knows it in a trained wording alone                                                      |
| unstable           | tuned knows it held out, and some wording, held out or trained, is not right                   |
| reversed_fails     | tuned knows it held out, and not when its answer is given and what it belongs to is asked      |
| ignores_context    | tuned without passages or the base with the right one knows it, and tuned with the right one   |
|                    | does not (arm tuned_oracle; without it, tuned_rag where the right passage was among those shown)|
| near_miss_answered | tuned does not decline the question that only looks like it                                    |
| learnt             | tuned has every held-out wording right, and nothing above is the tuned model's fault           |

Where no trained wording was asked, a fact that tuned does not know is under-trained. A row whose arms were not asked
does not hold. A fact may have several findings; they are in the order of the table, and the first is to be seen to
first: while the question is wrong, nothing else that was measured of it means anything.

The table is kb's own; what its rows rest on: a fact trained forwards is not known backwards (Berglund et al., The
Reversal Curse, arXiv 2309.12288); many wordings, and not many repetitions, make it known in new ones (Allen-Zhu and Li,
Physics of Language Models 3.1, arXiv 2309.14316); a model may answer from its weights against the passage that it is
shown (Longpre et al., Entity-Based Knowledge Conflicts in Question Answering, arXiv 2109.05052).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kb.evaluate.results import FactRow, Finding
from kb.evaluate.tables import Table
from kb.records import FINDINGS, Probe, Score

KINDS = ("held_out", "trained", "reversed", "near_miss")
"""Kinds of probe that the table asks for."""
DEFECTS = ("question_defect", "retrieval_defect")
"""What is not the tuned model's fault, and no training cures."""


@dataclass(frozen=True)
class Shares:
    """What was right of one fact's answers."""

    by: Mapping[tuple[str, str], float]
    """Share right by kind of probe and arm; what was not asked is not in it."""
    shown: float | None = None
    """Share right of the held-out answers of tuned_rag to which the right passage was shown; None: to none."""

    def knows(self, arm: str, kind: str = "held_out") -> bool | None:
        """Whether an arm knows the fact; None where it was not asked."""
        share = self.by.get((kind, arm))
        return None if share is None else share > 0.5

    @property
    def reads(self) -> bool | None:
        """Whether the tuned model answers right with the right passage at hand; None where that was not seen."""
        if ("held_out", "tuned_oracle") in self.by:
            return self.knows("tuned_oracle")
        return None if self.shown is None else self.shown > 0.5


def diagnose(shares: Shares) -> tuple[str, ...]:
    """The findings of one fact, in the order of FINDINGS; none where the arms that would tell were not asked."""
    tuned, oracle = shares.knows("tuned"), shares.knows("oracle")
    trained = shares.by.get(("trained", "tuned"))
    every = (shares.by.get(("held_out", "tuned")), trained)
    holds = {
        "question_defect": oracle is False,
        "retrieval_defect": oracle is True and shares.knows("rag") is False,
        "under_trained": tuned is False and (trained or 0.0) <= 0.5,
        "phrasing_overfit": tuned is False and (trained or 0.0) > 0.5,
        "unstable": tuned is True and any(share is not None and share < 1.0 for share in every),
        "reversed_fails": tuned is True and shares.knows("tuned", "reversed") is False,
        "ignores_context": shares.reads is False and True in (tuned, oracle),
        "near_miss_answered": shares.knows("tuned", "near_miss") is False,
    }
    found = tuple(name for name in FINDINGS if holds.get(name))
    learnt = tuned is True and set(found) <= set(DEFECTS)
    return (*found, "learnt") if learnt else found


def diagnosed(rows: Iterable[FactRow], table: Table, scores: Sequence[Score]) -> tuple[FactRow, ...]:
    """The facts with their findings. `table` has all probes, and `scores` are those that it was made of."""
    shares: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for kind in KINDS:
        part = table.of_kind(kind)
        for fact, row in zip(part.facts, part.shares().tolist() if part.probes else (), strict=True):
            known = zip(part.arms, row, strict=True)
            shares[fact] |= {(kind, arm): share for arm, share in known if share == share}
    shown = _shown(table.probes, scores)
    return tuple(replace(row, findings=diagnose(Shares(shares[row.fact_id], shown.get(row.fact_id)))) for row in rows)


def _shown(probes: Iterable[Probe], scores: Sequence[Score]) -> dict[str, float]:
    """Fact to the share right of its answers by tuned_rag to which the right passage was shown: the oracle's."""
    facts = {probe.id: probe.fact_id for probe in probes if probe.kind == "held_out"}
    right = {one.probe_id: set(one.passages) for one in scores if one.arm == "oracle"}
    found: dict[str, list[bool]] = defaultdict(list)
    for one in scores:
        if one.arm == "tuned_rag" and one.probe_id in facts and right.get(one.probe_id, set()) & set(one.passages):
            found[facts[one.probe_id]].append(one.verdict == "correct")
    return {fact: sum(answers) / len(answers) for fact, answers in found.items()}


def counted(rows: Sequence[FactRow]) -> tuple[Finding, ...]:
    """How many facts have each finding, those that none has left out."""
    every = Counter(name for row in rows for name in row.findings)
    first = Counter(row.findings[0] for row in rows if row.findings)
    return tuple(Finding(name, every[name], first[name]) for name in FINDINGS if every[name])


def in_order(rows: Iterable[FactRow]) -> list[FactRow]:
    """The facts by what is to be done about them first; those of which nothing can be told come last."""
    return sorted(rows, key=lambda row: FINDINGS.index(row.findings[0]) if row.findings else len(FINDINGS))
