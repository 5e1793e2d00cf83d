"""A fifth way to answer: closed-book where the tuned model is sure of itself, else with passages, else not at all.

How sure it is, is the mean log-probability of the tokens of its greedy answer. From where on that is enough is learnt
on other facts than it is used on: the facts are dealt into five parts, and the thresholds of a part are those that
served the other four best (cross-fitting). So nothing is asked anew, and no figure is of a fact that chose its own
threshold. Sources: selective prediction by sequence likelihood, Kamath, Jia and Liang, ACL 2020 (arXiv 2006.09462);
cross-fitting, Chernozhukov and others, The Econometrics Journal 21 (2018).
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kb.evaluate.arms import Asked
from kb.evaluate.beside import Hybrid
from kb.evaluate.figures import by_fact, share_of
from kb.evaluate.stats import Floats, Interval, difference_intervals
from kb.records import Probe, Score
from kb.text.refusal import is_refusal

ARM, CLOSED, READING = "hybrid", "tuned", "tuned_rag"
KINDS = ("held_out", "near_miss", "unanswerable")
"""What it answers."""
WORTH = {"correct": 1.0, "wrong": -1.0, "abstained": 0.0, "unparsed": 0.0}
"""What thresholds are chosen by: a wrong answer costs what a right one gains, and to decline costs nothing."""
FOLDS = 5
STEPS = 200
"""Most thresholds that are tried, at quantiles of the confidences."""
DECLINED = {"en": "I don't know.", "zh": "我不知道。"}
NOT_SURE = "not confident"
"""The rule of an answer that was held back."""

Answered = tuple[Asked, Score]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """A probe as it was answered without and with passages, and how sure the model was of either."""

    closed: Answered
    read: Answered
    sure: float
    sure_read: float

    @property
    def probe(self) -> Probe:
        """The probe of both."""
        return self.closed[0].probe


@dataclass(frozen=True)
class Routed:
    """The answers of the hybrid arm."""

    answered: tuple[Answered, ...]
    alone: frozenset[str]
    """Ids of the probes that were answered closed-book."""


def routed(answered: Sequence[Answered], sure: Mapping[tuple[str, str], float]) -> Routed:
    """The hybrid's answers; `sure` maps (arm, probe id) to the mean log-probability of the answer's tokens, nats.

    Empty where an arm is missing or nobody knows how sure it was. Tokens and seconds are of all that was spent: the
    closed-book answer always, the one with passages where it was needed.
    """
    pairs = _pairs(answered, sure)
    if not pairs:
        return Routed((), frozenset())
    fold = np.array([zlib.crc32((one.probe.fact_id or one.probe.id).encode()) % FOLDS for one in pairs])
    closed, read = _worth([one.closed for one in pairs]), _worth([one.read for one in pairs])
    held_back = np.array([0.0 if one.probe.gold else 1.0 for one in pairs])
    # A refusal is no answer to be sure of: the passages may have one.
    sure_closed = np.array([-np.inf if is_refusal(one.closed[1].answer) else one.sure for one in pairs])
    sure_read = np.array([one.sure_read for one in pairs])
    alone, trusted = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
    for part in range(FOLDS):
        mine, others = fold == part, fold != part
        enough = _threshold(sure_read, read, held_back, others)
        trusted |= mine & (sure_read >= enough)
        retrieved = np.where(sure_read >= enough, read, held_back)
        alone |= mine & (sure_closed >= _threshold(sure_closed, closed, retrieved, others))
    chosen = tuple(_chosen(*one) for one in zip(pairs, alone.tolist(), trusted.tolist(), strict=True))
    return Routed(chosen, frozenset(one.probe.id for one, by_heart in zip(pairs, alone, strict=True) if by_heart))


def _pairs(answered: Sequence[Answered], sure: Mapping[tuple[str, str], float]) -> list[Pair]:
    by_arm: dict[str, dict[str, Answered]] = {CLOSED: {}, READING: {}}
    for one in answered:
        if one[1].arm in by_arm and one[0].probe.kind in KINDS:
            by_arm[one[1].arm][one[0].probe.id] = one
    both = [id for id in by_arm[CLOSED] if id in by_arm[READING]]
    if any((arm, id) not in sure for arm in by_arm for id in both):
        return []
    return [Pair(by_arm[CLOSED][id], by_arm[READING][id], sure[CLOSED, id], sure[READING, id]) for id in sorted(both)]


def _worth(some: Sequence[Answered]) -> Floats:
    return np.array([WORTH[score.verdict] for _, score in some])


def _threshold(sure: Floats, above: Floats, below: Floats, among: Bools) -> float:
    """The confidence from which on `above` rather than `below` is worth most, in sum over these; of equals the lowest.

    Infinite where nothing but `below` is best.
    """
    known = among & np.isfinite(sure)
    if not known.any():
        return float("inf")
    tried = np.append(np.unique(np.quantile(sure[known], np.linspace(0, 1, STEPS), method="lower")), np.inf)
    gains = np.where(known, above - below, 0.0)
    worth = (gains * (sure >= tried[:, None])).sum(axis=1)
    return float(tried[int(np.argmax(worth))])


def _chosen(pair: Pair, alone: bool, trusted: bool) -> Answered:
    asked, score = pair.closed if alone else pair.read
    tokens, seconds = pair.closed[1].tokens, pair.closed[1].seconds
    score = replace(score, arm=ARM)
    if not alone:
        score = replace(score, tokens=score.tokens + tokens, seconds=score.seconds + seconds)
    if alone or trusted or is_refusal(score.answer):
        return asked, score
    verdict = "abstained" if pair.probe.gold else "correct"
    return asked, replace(score, answer=DECLINED[pair.probe.language], verdict=verdict, rule=NOT_SURE)


def figures(route: Routed, scores: Sequence[Score], sure: Mapping[tuple[str, str], float]) -> Hybrid | None:
    """What is reported of the arm beside its answers, on held-out wordings; None where there is none.

    The headroom is what a router that always knows which of tuned and RAG is right would gain over the better of the
    two. Two adapters of one recipe differ as well: the same figure for them (`control`, where another run is compared)
    is what of it chance alone would give.
    """
    facts = {asked.probe.id: asked.probe.fact_id for asked, _ in route.answered if asked.probe.kind == "held_out"}
    if not facts:
        return None
    right: dict[str, dict[str, float]] = {}
    for one in scores:
        right.setdefault(one.arm, {})[one.probe_id] = float(one.verdict == "correct")
    held_back = {score.probe_id for _, score in route.answered if score.rule == NOT_SURE}
    tuned = right[CLOSED]
    other = next((name for name in right if name.startswith("run:") and not name.endswith("+rag")), "")
    share = functools.partial(share_of, facts)
    headroom = functools.partial(_headroom, facts, tuned)
    return Hybrid(
        share({id: float(id in route.alone) for id in facts}),
        share({id: tuned[id] for id in facts if id in route.alone}),
        share({id: float(id in held_back) for id in facts}),
        _auroc([sure[CLOSED, id] for id in facts], [tuned[id] for id in facts]),
        headroom(right["rag"]) if "rag" in right else None,
        headroom(right[other]) if other else None,
    )  # fmt: skip


def _headroom(facts: Mapping[str, str], one: Mapping[str, float], other: Mapping[str, float]) -> Interval | None:
    both = [id for id in facts if id in one and id in other]
    mean = [sum(arm[id] for id in both) for arm in (one, other)]
    better = one if mean[0] >= mean[1] else other
    gain = by_fact(facts, {id: max(one[id], other[id]) - better[id] for id in both})
    return difference_intervals(gain[:, None])[0]


def _auroc(sure: Sequence[float], right: Sequence[float]) -> float | None:
    """The chance that a right answer is surer than a wrong one (Mann and Whitney); None where all are alike."""
    from scipy.stats import mannwhitneyu

    marks, confidence = np.array(right) > 0.5, np.array(sure)
    if marks.all() or not marks.any():
        return None
    found = mannwhitneyu(confidence[marks], confidence[~marks])
    return float(found.statistic / (marks.sum() * (~marks).sum()))
