"""The records of a report: everything that is printed, written or drawn, and nothing that is not.

Shares are 0 to 1 and differences -1 to 1; each fact weighs the same, however many probes it has. `correct` is over all
answers of an arm: an unparsed answer is not a right one, and not a wrong one either, it has a rate of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kb.evaluate.beside import Attribution, Benchmark, Cost, General, Hybrid, Judging, Kept, Overlap, Ring, Untaught
from kb.evaluate.stats import ALPHA, Interval, told_apart

VERDICTS = ("correct", "wrong", "abstained", "unparsed")
"""The four verdicts; the four rates of an arm add up to 1."""


@dataclass(frozen=True)
class Text:
    """One sentence in the two languages of the report."""

    en: str
    zh: str


@dataclass(frozen=True)
class ArmSummary:
    """What one arm knew of the held-out wordings, and how it behaved where it could not know."""

    arm: str
    probes: int
    """Held-out probes that the arm answered."""
    facts: int
    correct: Interval
    all_right: Interval
    """Share of facts of which every held-out wording was answered right: what holds under the worst wording."""
    worst_wrong: Interval
    """Share of facts of which the worst held-out wording got a wrong answer, and not only a refusal."""
    wrong: float
    abstained: float
    unparsed: float
    same_verdict: Interval | None = None
    """Share of the pairs of a fact's wordings with the same verdict; None where no fact has two."""
    same_answer: Interval | None = None
    """Share of those pairs that were answered the same, right or wrong: wrong answers by their canonical form."""
    by_document: Interval | None = None
    """`correct` with whole documents as clusters: what other documents like these could give. None below 10 of them."""
    trained: Interval | None = None
    """Share right on wordings that were trained on; None where the arm was not asked them."""
    gap: Interval | None = None
    """Trained minus held-out, paired by fact: what was learned of the wording and not of the fact."""
    near_miss: Interval | None = None
    """Share of near misses (questions that sound answerable) rightly declined."""
    unanswerable: Interval | None = None
    """Share of questions without an answer rightly declined."""
    tokens: float = 0.0
    """Prompt and completion tokens per held-out question, mean."""
    seconds: float = 0.0
    """Seconds per held-out question, mean."""


@dataclass(frozen=True)
class Comparison:
    """Two arms on the probes both answered."""

    arm: str
    against: str
    facts: int
    difference: Interval
    """`arm` minus `against`."""
    p: float
    """Sign-flip test over facts, two-sided, by itself."""
    p_adjusted: float
    """The same after Holm, for all comparisons that are read together."""
    detectable: float
    """The smallest true difference that these facts would show 80% of the time."""
    by_document: Interval | None = None
    """`difference` with whole documents as clusters; None below 10 of them."""
    p_by_document: float | None = None
    """Sign-flip test over documents, two-sided, by itself; None where `by_document` is."""
    p_by_document_adjusted: float | None = None
    """The same after Holm, for all comparisons that are read together."""

    @property
    def sign(self) -> int:
        """1 or -1 where interval and adjusted p both say that the arms differ, else 0: no difference detected."""
        return told_apart(self.difference, self.p_adjusted)


@dataclass(frozen=True)
class Apart:
    """Probes of one kind that are no part of the main figures: of facts that no question taught, or asked in another
    way than the held-out wordings are.
    """

    kind: str
    """text_only, placebo, reversed or cross_lingual."""
    facts: int
    probes: int
    correct: Mapping[str, Interval]
    """Share right of every arm that was asked them."""
    gain: Comparison | None
    """Tuned against base, p adjusted for all kinds; None where one of them is missing."""


@dataclass(frozen=True)
class Venn:
    """Facts by who knows them, that is, answers most of their held-out wordings right (more than half)."""

    both: int
    only_rag: int
    only_tuned: int
    neither: int


KNOWN_BY = ("both", "only_rag", "only_tuned", "neither")
"""Who knows a fact, by the fields of `Venn`."""


@dataclass(frozen=True)
class FactRow:
    """One fact: the share of its held-out wordings that each arm answered right."""

    fact_id: str
    statement: str
    """Empty where it was not given."""
    gold: str
    language: str
    answer_type: str
    document: str
    shares: Mapping[str, float | None]
    known_by: str = ""
    """One of KNOWN_BY; empty where one of the two arms was not asked."""
    findings: tuple[str, ...] = ()
    """What is to be done about it (`kb.records.FINDINGS`), first things first; none where that cannot be told."""

    @property
    def to_act_on(self) -> bool:
        """Whether there is anything to be done about it."""
        return bool(self.findings) and self.findings != ("learnt",)


@dataclass(frozen=True)
class Finding:
    """How many facts have one of `kb.records.FINDINGS`."""

    name: str
    facts: int
    first: int
    """Those of them of which nothing else is to be seen to before it."""


@dataclass(frozen=True)
class Slice:
    """The held-out probes of one language, answer type or document, or of facts that the base knew equally well."""

    dimension: str
    """language, answer_type, known (before training, by the base model) or document."""
    name: str
    facts: int
    probes: int
    correct: Mapping[str, Interval | None]
    shrunken: Mapping[str, Interval] = field(default_factory=dict)
    """Of a document: its share drawn towards that of all documents, the more the fewer facts it has."""
    p: Mapping[str, float | None] = field(default_factory=dict)
    """Whether each arm knows (most wordings right) another share of these facts than of all others."""
    p_adjusted: Mapping[str, float | None] = field(default_factory=dict)
    """After Benjamini and Hochberg, for all lines and arms of the dimension."""

    def stands_out(self, arm: str) -> bool:
        """Whether the arm knows another share of these facts than of the others, however many lines are read."""
        p = self.p_adjusted.get(arm)
        return p is not None and p < ALPHA


@dataclass(frozen=True)
class RuleCount:
    """How many verdicts, of all arms and kinds of probe, one rule of the scorer gave."""

    rule: str
    correct: int
    wrong: int
    abstained: int
    unparsed: int

    @property
    def total(self) -> int:
        """All verdicts of the rule."""
        return self.correct + self.wrong + self.abstained + self.unparsed


@dataclass(frozen=True)
class Check:
    """Something that must hold for the figures to mean anything."""

    name: str
    ok: bool
    detail: str
    name_zh: str = ""
    """The same in Chinese, as `detail_zh` is; empty in what an older kb wrote, which is shown in English."""
    detail_zh: str = ""

    def named(self) -> Text:
        """The name in both languages."""
        return Text(self.name, self.name_zh or self.name)

    def told(self) -> Text:
        """The detail in both languages."""
        return Text(self.detail, self.detail_zh or self.detail)


@dataclass(frozen=True)
class Report:
    """A whole evaluation, summarised."""

    name: str
    created: str
    seed: int
    facts: int
    """Facts with held-out probes."""
    probes: int
    """Held-out probes."""
    languages: Mapping[str, float]
    """Share of the held-out probes in each language."""
    arms: tuple[ArmSummary, ...]
    comparisons: tuple[Comparison, ...]
    retention: Interval | None
    """R: what the tuned model answers without documents, as a share of what RAG answers. None: an arm is missing, or
    RAG is below 30% and the ratio would mean nothing."""
    retention_oracle: Interval | None
    """The same as a share of what the base answers with the right passage."""
    gain_retention: Interval | None
    """G: what tuning gained over the base, as a share of what RAG gains, on the `headroom`; refused as R is."""
    headroom: int
    """Facts that the base did not know before training; where that was not asked, facts of which it answers at most
    half of the held-out wordings right. 0: the base was not evaluated."""
    rings: tuple[Ring, ...]
    venn: Venn | None
    fact_rows: tuple[FactRow, ...]
    slices: tuple[Slice, ...]
    audit: tuple[RuleCount, ...]
    provenance: Mapping[str, str]
    checks: tuple[Check, ...]
    apart: tuple[Apart, ...] = ()
    """What is measured apart, for each kind that has probes."""
    untaught: tuple[Untaught, ...] = ()
    kept: tuple[Kept, ...] = ()
    """What is left of what the base had right, for each kind of question where it had something."""
    training_set: Mapping[str, Any] = field(default_factory=dict)
    """What `kb qa-report` said of the set; empty where nothing was."""
    findings: tuple[Finding, ...] = ()
    """What there is to be done, in the order of `kb.records.FINDINGS`; each fact's are in `fact_rows`."""
    general: General | None = None
    """None without a tuned model, or where a model tells no log-probabilities."""
    attributions: tuple[Attribution, ...] = ()
    """Of the arms with retrieved passages."""
    cost: Cost | None = None
    """None without a run, or without RAG to set it against."""
    benchmarks: tuple[Benchmark, ...] = ()
    """Public ones that were run with this base and this adapter."""
    hybrid: Hybrid | None = None
    """None where a part of it is missing, or nobody says how sure the answers are."""
    watched: int = 0
    """Facts whose held-out wordings chose the adapter, and are left out of every figure for that."""
    unfollowed: int = 0
    """Instructions that were asked where neither base nor tuned followed a single one: they are no ring."""
    judging: Judging | None = None
    """None: no judge was asked for."""
    overlaps: tuple[Overlap, ...] = ()
    """Diagnostics of the arms, beside the audit."""
    verdict: Text = Text("", "")
    """The main comparison in a sentence."""
    remarks: tuple[Text, ...] = ()
    """What else must be said at once: what was not learned, tuned+RAG, what tuning cost."""
    next_step: Text = Text("", "")
    warnings: tuple[Text, ...] = ()

    def arm(self, name: str) -> ArmSummary | None:
        """The summary of one arm, None where it was not evaluated."""
        return next((arm for arm in self.arms if arm.arm == name), None)

    @property
    def gaps(self) -> tuple[ArmSummary, ...]:
        """Arms that were asked trained wordings, the base among them as a control; none where nothing was trained."""
        asked = tuple(arm for arm in self.arms if arm.trained and arm.gap)
        return asked if any(arm.arm not in ("base", "rag", "oracle") for arm in asked) else ()

    @property
    def apart_arms(self) -> tuple[str, ...]:
        """Arms that were asked something of what is measured apart."""
        return tuple(dict.fromkeys(arm for one in self.apart for arm in one.correct))

    def comparison(self, arm: str, against: str) -> Comparison | None:
        """One comparison, None where an arm is missing."""
        return next((one for one in self.comparisons if (one.arm, one.against) == (arm, against)), None)
