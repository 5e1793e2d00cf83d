"""Wordings by what they mean: vectors of the retriever's embedder, and the limit that is measured for it."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kb.llm.identity import combine
from kb.qa_gen.calibration import FALSE_SHARE, PLACES, Limit, measure, read_groups, rounded
from kb.qa_gen.faithful import Share
from kb.qa_gen.leakage import LEAK, NAMELESS, Wordings
from kb.retrieval.dense import Embedder
from kb.store import Store
from kb.text.similar import figures

log = logging.getLogger(__name__)

REMEMBERED = 20_000
"""Vectors that are kept in memory for the next time."""


Hit = tuple[float, str]
"""A cosine, and the wording that has it."""


@dataclass(frozen=True)
class Likeness:
    """What tells wordings of one fact apart: letters, figures and, where there are vectors, meaning."""

    wordings: Wordings
    """Of the fact, for the name that is left out."""
    vectors: Mapping[str, np.ndarray]
    """By `Wordings.frame`; empty where meaning cannot be compared."""
    limit: float | None
    """The cosine above which wordings differ in trifles alone; None where no embedder can tell."""

    def cosine(self, a: str, b: str) -> float:
        """How near two wordings are in meaning, their common name left out."""
        return rounded(self.vectors[self.wordings.frame(a)] @ self.vectors[self.wordings.frame(b)])

    def nearest(self, text: str) -> Hit | None:
        """The fact's wording that is nearest to a text and has the same figures: "3 kg" is never "13 kg". None where
        there is none or meaning cannot be compared.
        """
        return self._first(self._above(-2.0, text, self.wordings.texts), text) if self.vectors else None

    def means(self, text: str, others: Iterable[str] | None = None) -> Hit | None:
        """The one of `others` (without them, of the fact's wordings) that a text is but for trifles by its meaning, or
        None.
        """
        if self.limit is None:
            return None
        return self._first(self._above(self.limit, text, self.wordings.texts if others is None else others), text)

    def repeats(self, text: str, others: Sequence[str]) -> Hit | None:
        """The one of `others` that a text is but for trifles: near in letters, and in meaning where that can be told
        (where not, the cosine is given as 0); None without one.
        """
        near = [(0.0, other) for other in others] if self.limit is None else self._above(self.limit, text, others)
        return self._first((hit for hit in near if self.wordings.likeness(text, hit[1]) > LEAK), text)

    @staticmethod
    def _first(hits: Iterable[Hit], text: str) -> Hit | None:
        """The first hit with the figures of the text: compared last, because that takes longest."""
        return next((hit for hit in hits if same_figures(text, hit[1])), None)

    def _above(self, limit: float, text: str, others: Iterable[str]) -> list[Hit]:
        """Those with a cosine above the limit, nearest first."""
        hits = ((self.cosine(text, other), other) for other in others)
        return sorted((hit for hit in hits if hit[0] > limit), reverse=True)


def same_figures(a: str, b: str) -> bool:
    """Whether two texts have the same numbers, dates and codes."""
    return figures(a) == figures(b)


class Meaning:
    """The embedder of a run, what it reads, and its limits; without one, all is said to be unread."""

    def __init__(self, embedder: Embedder | None, store: Store) -> None:
        self._embedder, self._store = embedder, store
        self._known: dict[str, np.ndarray] = {}
        self._limits: dict[str, Limit | None] = {}

    def limit(self, language: str) -> Limit | None:
        """The embedder's limit for a language, measured once and kept in the store; None where none reads it."""
        if language not in self._limits:
            self._limits[language] = found = self._measured(language)
            log.info("wordings, embedding, %s: %s", language, found or f"no embedder reads {language}")
        return self._limits[language]

    def gate(self, language: str) -> float | None:
        """The cosine above which wordings are the same but for trifles; None where the embedder cannot tell."""
        limit = self.limit(language)
        return limit.cosine if limit and limit.usable else None

    def compare(self, asked: Sequence[tuple[str, Wordings, Sequence[str]]]) -> list[Likeness]:
        """For wordings in a language what compares them with further texts; all are embedded in one go."""
        readable = [self.limit(language) is not None and own.named for language, own, _ in asked]
        frames = [
            own.frame(text)
            for (_, own, texts), reads in zip(asked, readable, strict=True)
            if reads
            for text in (*own.texts, *texts)
        ]
        vectors = self._vectors(frames)
        return [
            Likeness(own, vectors if reads else {}, self.gate(language) if reads else None)
            for (language, own, _), reads in zip(asked, readable, strict=True)
        ]

    def _measured(self, language: str) -> Limit | None:
        groups = [group for group in read_groups() if group.language == language]
        embedder = self._embedder
        if embedder is None or not groups or not embedder.reads([text for group in groups for text in group.trained]):
            return None
        rules = (embedder.identity, FALSE_SHARE, PLACES, LEAK, NAMELESS, *map(asdict, groups))
        key = f"wordings: limit {language} {combine(map(str, rules))}"
        embed = functools.partial(embedder.embed, query=True)
        made = self._store.setting(key, lambda: json.dumps(asdict(measure(embedder.name, embed, groups))))
        kept = json.loads(made)
        shares = {name: Share(**kept[name]) for name in ("caught", "false")}
        return Limit(**{**kept, **shares})

    def _vectors(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Unit vectors by text."""
        wanted = dict.fromkeys(texts)
        missing = [text for text in wanted if text not in self._known]
        fresh: dict[str, np.ndarray] = {}
        if missing and self._embedder:
            fresh = dict(zip(missing, self._embedder.embed(missing, query=True), strict=True))
        made = {text: fresh[text] if text in fresh else self._known[text] for text in wanted}
        if len(self._known) + len(fresh) > REMEMBERED:
            self._known.clear()
        self._known |= fresh
        return made
