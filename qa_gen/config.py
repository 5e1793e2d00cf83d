"""The settings of `kb generate-qa`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kb.errors import ConfigError

AT_ONCE = 8
"""Wordings asked for in one request."""
STYLES = 3
"""Styles of prose that a chunk is told in."""


class Tellings(NamedTuple):
    """How often a fact is told."""

    wordings: int
    """Training questions; as many are held out."""
    rewrites: int
    """Texts in each style."""


@dataclass(frozen=True)
class GenerateConfig:
    """The `[generate]` section of kb.toml. Raises ConfigError when a value cannot mean anything."""

    wordings: int = 6
    """Question wordings asked for, for training and again for probes."""
    min_wordings: int = 5
    """A fact with fewer usable wordings on either side is dropped, with the reason."""
    rewrites: int = 1
    """Versions of every chunk in each of three styles of prose, which are trained beside the questions; 0: none."""
    dose: int = 0
    """Different tellings of each fact, questions and prose together, in place of `wordings` and `rewrites`: 5, 10, 40.
    More of them, and not more epochs, make a model keep more; each costs its tokens. 0: by those two.
    """
    near_miss_share: float = 0.4
    """Share of the facts that get a near-miss question: half of them trained as refusals, half held out as probes."""
    unanswerable: int = 2
    """Questions asked for that a chunk does not answer, per chunk."""
    reversed: bool = True
    """Whether facts whose answer points at what they are about are asked the other way round, too: trained and held
    out. What is trained in one direction only is known in that direction only.
    """
    cross_lingual: bool = False
    """Whether every fact gets a held-out question in the other language: English of a Chinese document, Chinese of an
    English one. It is never trained.
    """
    placebo_share: float = 0.05
    """Share of the documents that are probed and never trained: an evaluation compares what is right there with what
    the base has right, and so tells knowledge from better guessing. Of fewer than 1 / share documents none; 0: none.
    """
    text_only_share: float = 0.1
    """Share of the facts that a chunk's rewrites state that are trained by these alone and not by questions: whether
    prose teaches what it says. 0: none.
    """
    full_answers: int = 2
    """Training wordings per fact that are also answered in a full sentence: the model's and the fact's own, in turn."""
    detailed: int = 2
    """Questions a chunk that want a longer answer, with its details, tables and code; 0: none."""
    known_samples: int = 10
    """Closed-book answers to every fact's questions, by which the report says what the model knew before it was
    trained; 0: not measured.
    """
    max_tokens: int = 1024
    """Token limit of one answer of the facts step, doubled for chunks that are long; the other steps need less."""
    attempts: int = 3
    """Tries for an answer that is cut off or has the wrong form."""
    limit: int = 0
    """Make the set of the first so many chunks only; 0: all."""
    min_yield: float = 0.2
    """Share of the chunks that must give a fact, or the run ends as incomplete. Chunks in which the model says there is
    nothing to ask about (a cover, an index) do not count.
    """
    price_in: float = 0.0
    """What a million prompt tokens cost; the estimate before the first request then says the money, too."""
    price_out: float = 0.0
    """What a million tokens of answers cost."""
    currency: str = ""
    """What the prices are in, to be said with them."""

    @property
    def tellings(self) -> Tellings:
        """Question wordings and rewrites in each style to ask for."""
        if not self.dose:
            return Tellings(self.wordings, self.rewrites)
        rewrites = max(0, self.dose - 4) // (2 * STYLES)
        return Tellings(max(self.dose - STYLES * rewrites, self.min_wordings + 1), rewrites)

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            if not getattr(self, key) >= least:
                raise ConfigError(f"[generate] {key}: expected {least} or more, got {getattr(self, key)}")
        for key in ("near_miss_share", "placebo_share", "text_only_share", "min_yield"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"[generate] {key}: expected a share from 0 to 1, got {getattr(self, key)}")
        if self.wordings < self.min_wordings:
            raise ConfigError(
                f"[generate] wordings: with {self.wordings} wordings asked for, no fact can have the"
                f" {self.min_wordings} that min_wordings wants"
            )


LEAST = {
    "wordings": 1, "min_wordings": 1, "unanswerable": 0, "full_answers": 0, "max_tokens": 1, "attempts": 1, "limit": 0,
    "rewrites": 0, "dose": 0, "detailed": 0, "known_samples": 0, "price_in": 0, "price_out": 0,
}  # fmt: skip
