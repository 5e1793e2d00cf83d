"""How much of the gold an answer repeats: exact match, F1 and ROUGE-L, to diagnose with and never to decide by.

They cannot tell a right answer from a wrong one (3000万元 and 5000万元 share most of their characters), but they show
where an arm says the right thing in too many words, and they are what other tools report.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kb.evaluate.beside import Overlap
from kb.evaluate.tables import in_order
from kb.records import Probe, Score
from kb.text.canonical import canonical
from kb.text.characters import UNSPACED, plain
from kb.text.replies import bare_answer, without_thinking
from kb.text.traditional import simplified

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

_TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


class Bilingual:
    """A tokenizer for `rouge_score`, whose own knows nothing but a to z and 0 to 9: two equal Chinese sentences would
    get 0, two unlike ones that share a number 1.
    """

    def tokenize(self, text: str) -> list[str]:
        """The canonical form as one token for each Han character or kana and one for each word or number."""
        return _TOKEN.findall(canonical(text))


def overlaps(probes: Sequence[Probe], scores: Iterable[Score]) -> tuple[Overlap, ...]:
    """For each arm the means over its held-out answers, every fact weighing the same; without those that have no gold.

    An answer is compared as the scorer reads it, without thinking, lead-in and emphasis, with the gold and every alias;
    the likest counts. No answer is 0.
    """
    asked = {probe.id: probe for probe in probes if probe.kind == "held_out" and probe.gold.strip()}
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        if probe := asked.get(score.probe_id):
            references = (probe.gold, *probe.aliases)
            found[score.arm][probe.fact_id or probe.id].append(measures(score.answer, references))
    rows = []
    for arm in in_order(found):
        means = np.mean([np.mean(answers, axis=0) for answers in found[arm].values()], axis=0)
        rows.append(Overlap(arm, sum(map(len, found[arm].values())), *map(float, means)))
    return tuple(rows)


@functools.lru_cache(maxsize=65536)
def measures(answer: str, references: tuple[str, ...]) -> tuple[float, float, float]:
    """Exact match, F1 and ROUGE-L (F) of an answer, 0 to 1, each with the reference that it is likest to.

    Exact match: the canonical forms are equal. F1: over the tokens of both as bags (Rajpurkar et al. 2016, section
    6.1; with a token for each Han character as in CMRC 2018). ROUGE-L: Lin 2004, as in Google's `rouge_score`.
    """
    said = simplified(bare_answer(plain(without_thinking(answer))))
    tokens = Bilingual().tokenize(said)
    if not tokens:
        return 0.0, 0.0, 0.0
    wanted = [simplified(plain(one)) for one in references if canonical(one)]
    if any(canonical(said) == canonical(one) for one in wanted):
        return 1.0, 1.0, 1.0
    f1 = max((_f1(tokens, Bilingual().tokenize(one)) for one in wanted), default=0.0)
    # Nothing shared is no common subsequence either, and `rouge_score` is slow to import and to count.
    rouge = max(_rouge().score(one, said)["rougeL"].fmeasure for one in wanted) if f1 else 0.0
    return 0.0, f1, rouge


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


@functools.cache
def _rouge() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=Bilingual())
