"""What is left to ask, before it is asked: calls, tokens, time and money, from what calls so far took.

How many facts the documents give is not known before they are asked for. The calls of a later step are those of an
earlier one times a ratio: measured where a run has come to its end in this workspace, else the defaults below.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from kb.llm import LLM, Request
from kb.progress import duration
from kb.qa_gen.config import AT_ONCE, STYLES, GenerateConfig
from kb.qa_gen.past import SAMPLE, Past, drafts, look_back, tokens_of
from kb.store import Store
from kb.text.terms import count_tokens

FEW = 10
"""Calls from which on their times are a measure."""
STEPS = {
    "facts": (1200, 500), "questions": (200, 130), "answers": (2000, 15), "full answers": (2000, 30),
    "probes": (250, 130), "rewrites": (1300, 700), "reversed": (350, 80), "reversed answers": (2000, 15),
    "reversed probes": (280, 50), "cross-lingual": (350, 60), "cross-lingual answers": (500, 15),
    "near misses": (120, 20), "unanswerable": (1100, 50), "negatives": (2000, 10), "detailed": (1100, 60),
    "detailed answers": (1150, 250), "knownness": (80, 8), "more questions": (200, 130),
    "more reversed": (350, 80), "contrast": (120, 20),
}  # fmt: skip
"""The steps in their order, with the tokens of a prompt and of an answer as long as none was seen: about what kb's own
prompts come to with chunks of 900 tokens.
"""
KEPT = 0.9
"""Of what one step hands on the share that the next one asks about, as long as no run has come to its end."""
POINTING = 0.8
"""Share of the facts whose answer points at what they are about, as long as no run has come to its end: a guess; of
the fictional world's 0.94 do, and documents that count and grade have fewer.
"""
TOKENS_A_FACT = 60.0
"""Tokens of a passage for each fact, as long as none was seen: a guess; tables need less and prose more."""
TOKENS_A_SECOND = 200.0
"""Tokens of answers a second, as long as none was timed: a guess for 4 B parameters on one consumer GPU."""


@dataclass(frozen=True)
class Estimate:
    """What is left of a run."""

    calls: Mapping[str, float]
    """Of each step."""
    prompt_tokens: float
    answer_tokens: float
    seconds: float
    price: float
    currency: str
    measured: int
    """Calls of this model so far; with 0 all is guessed."""
    timed: bool
    """Whether the time was measured."""

    def line(self) -> str:
        """For people: rounded, with what it rests on."""
        calls = _rounded(sum(self.calls.values()))
        parts = [
            f"about {calls:,.0f} call{'s' if calls != 1 else ''}",
            f"{_short(self.prompt_tokens + self.answer_tokens)} tokens",
            duration(self.seconds),
            *([f"{_rounded(self.price):,g} {self.currency}".rstrip()] if self.price else []),
        ]
        rests = f"from {self.measured:,} calls so far" if self.measured else "a guess: no call so far"
        speed = "" if self.timed else f"; the time is for {TOKENS_A_SECOND:.0f} tokens a second"
        return f"{', '.join(parts)} ({rests}{speed})"


@dataclass(frozen=True)
class Ahead:
    """What a step is about to ask."""

    step: str
    requests: Sequence[Request]
    """Those of the items looked at so far that have no answer in the store."""
    seen: int
    total: int
    """Items of the step."""

    @functools.cached_property
    def passage(self) -> float:
        """Mean tokens of what the requests are about."""
        return fmean(count_tokens(request.prompt) for request in self.requests[:SAMPLE])


def estimate(
    store: Store, writer: Callable[[str], LLM], config: GenerateConfig, ahead: Ahead, ended: int, whole: bool = True
) -> Estimate:
    """What is left from a step on.

    `writer` gives the model that a step asks. `ended` is the last call of the runs that came to their end. With `whole`
    everything that later steps lack counts, else only what follows from the requests of this one.
    """
    past = {step: look_back(store, writer(step), f"generate: {step}", ended) for step in STEPS}
    # What is not looked at yet is in the store as far as answers are left there, or lacks as often as what was seen.
    rest = ahead.total - ahead.seen
    stored = max(0, past[ahead.step].good - (ahead.seen - len(ahead.requests)))
    missing = len(ahead.requests) + max(rest - stored, rest * len(ahead.requests) / ahead.seen)
    left = {ahead.step: missing}
    found = _facts_per_chunk(past, ahead)
    usual, longer = _shares(config, past, found), _shares(config, past, found * _length(past, ahead))
    for step in list(STEPS)[list(STEPS).index(ahead.step) + 1 :]:
        of_others = (ahead.total - missing) * usual[step] / (usual[ahead.step] or 1.0) - past[step].good
        left[step] = missing * longer[step] / (longer[ahead.step] or 1.0) + (max(0.0, of_others) if whole else 0.0)
    return _cost(config, past, ahead, {step: calls * past[step].tries for step, calls in left.items()})


def _shares(config: GenerateConfig, past: Mapping[str, Past], facts: float) -> dict[str, float]:
    """Requests of every step for one chunk that gives so many facts."""

    def ratio(step: str, before: float, usual: float) -> float:
        # A step that was never asked may have been switched off.
        return past[step].ended / before if before and past[step].ended else usual

    # What was measured has as many requests a fact as that run asked.
    parts = 1 if past["facts"].ended else math.ceil(config.tellings.wordings / AT_ONCE)
    of = {"facts": 1.0, "questions": facts * parts}
    of["answers"] = of["questions"] * ratio("answers", past["questions"].ended, KEPT / parts)
    of["full answers"] = of["answers"] * ratio("full answers", past["answers"].ended, KEPT)
    of["probes"] = of["answers"] * ratio("probes", past["answers"].ended, KEPT)
    of["reversed"] = of["probes"] * ratio("reversed", past["probes"].ended, POINTING) if config.reversed else 0.0
    of["reversed answers"] = of["reversed"] * ratio("reversed answers", past["reversed"].ended, KEPT)
    of["reversed probes"] = of["reversed answers"] * ratio("reversed probes", past["reversed answers"].ended, KEPT)
    abroad = of["probes"] if config.cross_lingual else 0.0
    of["cross-lingual"] = abroad * ratio("cross-lingual", past["probes"].ended, 1.0)
    of["cross-lingual answers"] = abroad * ratio("cross-lingual answers", past["probes"].ended, KEPT)
    near = config.near_miss_share
    of["near misses"] = of["probes"] * ratio("near misses", past["probes"].ended, near) if near else 0.0
    count = config.unanswerable
    of["unanswerable"] = ratio("unanswerable", past["facts"].ended, KEPT) if count else 0.0
    open_questions = past["near misses"].ended + count * past["unanswerable"].ended
    made = of["near misses"] + count * of["unanswerable"]
    of["negatives"] = made * ratio("negatives", open_questions, KEPT)
    count = config.detailed
    of["detailed"] = ratio("detailed", past["facts"].ended, KEPT) if count else 0.0
    of["detailed answers"] = of["detailed"] * ratio("detailed answers", past["detailed"].ended, KEPT * count)
    tellings = STYLES * config.tellings.rewrites
    of["rewrites"] = ratio("rewrites", past["facts"].ended, KEPT * tellings) if tellings else 0.0
    samples = config.known_samples
    before = past["probes"].ended if past["knownness"].ended else 0
    of["knownness"] = of["probes"] * ratio("knownness", before, KEPT * samples) if samples else 0.0
    # How many facts a trained model will not have learnt nobody knows.
    of |= dict.fromkeys(("more questions", "more reversed", "contrast"), 0.0)
    return of


def _facts_per_chunk(past: Mapping[str, Past], ahead: Ahead) -> float:
    """Facts that a chunk gives: counted in what was answered so far, or guessed by its length."""
    if past["facts"].ended:
        return past["questions"].ended / past["facts"].ended
    if past["facts"].calls:
        return KEPT * fmean(drafts(call) for call in past["facts"].calls)
    return (ahead.passage if ahead.step == "facts" else STEPS["facts"][0]) / TOKENS_A_FACT


def _length(past: Mapping[str, Past], ahead: Ahead) -> float:
    """How long the chunks are that are asked about, as a multiple of those that gave the figures."""
    if ahead.step != "facts" or not past["facts"].calls:
        return 1.0
    return ahead.passage / fmean(count_tokens(call.request.prompt) for call in past["facts"].calls)


def _cost(config: GenerateConfig, past: Mapping[str, Past], ahead: Ahead, calls: Mapping[str, float]) -> Estimate:
    """Tokens, time and money of so many calls of each step."""
    each: dict[str, tuple[float, float]] = dict(STEPS)
    each[ahead.step] = fmean(map(tokens_of, ahead.requests[:SAMPLE])), each[ahead.step][1]
    for step in calls:
        if past[step].calls:
            prompts, answers = zip(*past[step].tokens(), strict=True)
            each[step] = fmean(prompts), fmean(answers)
    prompt, answer = (sum(count * each[step][part] for step, count in calls.items()) for part in (0, 1))
    timed = {step: one for step, one in past.items() if len(one.calls) >= FEW}
    written = sum(tokens for one in timed.values() for _, tokens in one.tokens())
    pace = sum(one.seconds for one in timed.values()) / written if written else 1 / TOKENS_A_SECOND
    return Estimate(
        calls, prompt, answer,
        sum(
            count * (timed[step].seconds / (len(timed[step].calls) - 1) if step in timed else each[step][1] * pace)
            for step, count in calls.items()
        ),
        (prompt * config.price_in + answer * config.price_out) / 1e6, config.currency,
        sum(one.good for one in past.values() if one.calls), bool(written),
    )  # fmt: skip


def _rounded(number: float) -> float:
    """To two significant digits."""
    return float(f"{number:.2g}")


def _short(count: float) -> str:
    """A count of tokens: 540, 12 k, 1.1 M."""
    number = _rounded(count)
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"
