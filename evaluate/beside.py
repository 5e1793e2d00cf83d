"""What is measured beside the arms: what is left of what the base could do, the scorer's diagnostics and judge, the
hybrid, how far the model moved, what it makes up, where RAG loses, and what it cost.

Shares are 0 to 1, differences -1 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kb.evaluate.stats import Interval, told_apart


@dataclass(frozen=True)
class Ring:
    """Something the base could do: how much of it is left after tuning."""

    name: str
    """known, reading, never, near_miss, unanswerable or following."""
    probes: int
    base: Interval
    tuned: Interval
    difference: Interval
    """Tuned minus base, paired by cluster."""
    p: float
    p_adjusted: float
    """After Holm, for all rings."""
    detectable: float

    @property
    def lost(self) -> bool:
        """Whether interval and adjusted p both say that something was lost."""
        return told_apart(self.difference, self.p_adjusted) < 0


@dataclass(frozen=True)
class Overlap:
    """How much of the gold an arm's held-out answers repeat, means of 0 to 1: to diagnose with, never to decide by."""

    arm: str
    answers: int
    exact: float
    """Share of answers that are the gold or an alias, canonically."""
    f1: float
    """Shared tokens, Han by character and Latin by word."""
    rouge_l: float
    """F measure of the longest common subsequence of the same tokens."""


@dataclass(frozen=True)
class Agreement:
    """Known cases of one kind, and on how many of them the judge said what is true."""

    kind: str
    """gold (the right answer itself), hedge, other (the answer to another question)."""
    cases: int
    agreed: int


@dataclass(frozen=True)
class Judging:
    """The model that judged what no rule could, how good it is, and what it decided."""

    judge: str
    identity: str
    prompts: str
    known: tuple[Agreement, ...]
    kappa: Interval | None
    """Cohen's, on the known cases; None without any."""
    people: Interval | None
    """The same on people's labels; None without any."""
    labels: int
    used: bool
    """Whether it was good enough to be asked."""
    asked: int = 0
    """Answers that no rule decided."""
    decided: Mapping[str, int] = field(default_factory=dict)
    """Verdict to count of those whose reply could be read."""


@dataclass(frozen=True)
class Hybrid:
    """How the hybrid arm (closed-book where sure, else with passages, else not at all) divided the held-out wordings.

    Its share right is that of its arm. A figure is None where there is nothing to measure it on.
    """

    coverage: Interval | None
    """Share answered closed-book: retrievals saved."""
    right: Interval | None
    """Share of these that are right."""
    held_back: Interval | None
    """Share where it was not sure of the answer from passages either."""
    auroc: float | None
    """Chance that the tuned model is surer of a right closed-book answer than of a wrong one."""
    headroom: Interval | None
    """What a router that is never wrong would gain over the better of tuned and RAG."""
    control: Interval | None
    """The same of the tuned model and another run of its kind: what of the headroom is chance."""


@dataclass(frozen=True)
class GoldShift:
    """What became of the log-probability of right answers of one kind: nats an answer, means over facts."""

    kind: str
    """known, reading or held_out."""
    probes: int
    base: float
    tuned: float
    change: Interval | None
    """Tuned minus base, paired by fact; below zero, the right answer has become less likely."""


@dataclass(frozen=True)
class Regression:
    """A right answer that became less likely, nats."""

    probe_id: str
    kind: str
    question: str
    gold: str
    base: float
    tuned: float


@dataclass(frozen=True)
class General:
    """How far tuning moved the model where no document is asked about."""

    prompts: int
    """General prompts, in both languages."""
    tokens: int
    """Of the base's greedy answers to them, on which both models were measured."""
    agreement: float | None
    """Share of these tokens that are the tuned model's likeliest too; None where the base answered nothing."""
    kl: float | None
    """KL(base || tuned), nats a token."""
    shifts: tuple[GoldShift, ...]
    worst: tuple[Regression, ...]
    """Of what the base could do, the right answers that lost most."""


@dataclass(frozen=True)
class Attribution:
    """Where an arm with retrieved passages gained and lost, on held-out wordings."""

    arm: str
    probes: int
    found: Interval | None
    """Share to which the right passage was among those shown."""
    right_found: Interval | None
    """Share right of these: what is missing was read wrong."""
    right_missed: Interval | None
    """Share right of the others: told by another passage, or known by heart."""


@dataclass(frozen=True)
class Cost:
    """What was spent once for the tuned model, and after how many questions that has paid against RAG."""

    written_tokens: int
    """Prompt and completion tokens of the calls that wrote the set."""
    written_seconds: float
    trained_tokens: int | None
    """None of a run that was trained before the seconds of its steps were kept."""
    trained_seconds: float | None
    paid_tokens: float | None
    """Questions, by tokens, a trained one counted three times; None where a question saves none, or it is not known."""
    paid_seconds: float | None
    """The same by seconds on this machine."""


@dataclass(frozen=True)
class Shift:
    """What became of one kind of answer from base to tuned, on the same questions."""

    base: Interval
    tuned: Interval
    difference: Interval
    """Tuned minus base, paired by fact."""
    p: float
    p_adjusted: float
    """After Holm, for all that is read together."""

    @property
    def sign(self) -> int:
        """1 or -1 where interval and adjusted p both say that the share rose or fell, else 0."""
        return told_apart(self.difference, self.p_adjusted)


@dataclass(frozen=True)
class Untaught:
    """A ring of facts that no question taught: what base and tuned answer about them.

    Where the base knows nothing, what can be lost is that it declines: a tuned model that makes up answers instead has
    no fewer right ones, and more wrong ones.
    """

    ring: str
    """text_only (of the trained documents), placebo (of documents like them) or known (of the world)."""
    facts: int
    probes: int
    correct: Shift
    """The same difference as in `apart` and `rings`, adjusted with what stands there."""
    wrong: Shift
    abstained: Shift

    @property
    def invents(self) -> bool:
        """Whether wrong answers have come where the base declined: more of the ones, and fewer of the others."""
        return self.wrong.sign > 0 > self.abstained.sign


@dataclass(frozen=True)
class Kept:
    """What is left of what the base had right, in questions of one kind.

    A question that the base had right was chosen by its answer, so some of what is lost would have been lost by any
    change of the model, as some that it had wrong became right (regression towards the mean). Greedy answers do not
    vary, but models do: `gained` is there to be held against what is lost, and the rates and intervals of the report
    are over all questions, not over these.
    """

    kind: str
    probes: int
    """That both answered."""
    had: int
    """Right by the base."""
    kept: int
    """Of these, right by the tuned model."""
    gained: int
    """Right by the tuned model and not by the base."""


@dataclass(frozen=True)
class Benchmark:
    """A public benchmark before and after tuning, as `kb bench run` found it."""

    name: str
    run: str
    """Name of the run of benchmarks: its folder has the items."""
    created: str
    items: int
    base: Interval
    """Share of right answers."""
    tuned: Interval
    difference: Interval
    """Tuned minus base, paired by item."""
    p: float
    """Sign-flip test, two-sided, by itself."""
    p_adjusted: float
    """The same after Holm, for all benchmarks of the report."""
    detectable: float
    """The smallest true difference that so many items would show 80% of the time."""
    shift: Interval | None
    """Log-probability of the right choice, tuned minus base, nats; None where there are no choices."""

    @property
    def lost(self) -> bool:
        """Whether interval and adjusted p both say that something was lost."""
        return told_apart(self.difference, self.p_adjusted) < 0
