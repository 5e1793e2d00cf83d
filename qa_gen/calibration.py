"""From which cosine on two wordings are the same but for trifles: measured for each embedder and language.

Wordings of one question mean the same, so that their vectors are near by nature, and how near depends on the embedder:
e5 gives .8 to texts that have nothing in common. The limit is therefore the smallest cosine that hits almost no real
rewording, and how many trifling edits it catches is measured with it. Both are about entities of a fictional world
(calibration.jsonl, made by `python -m kb.corpora.trifles`), and go the way of a set's own wordings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from kb.qa_gen.faithful import Share
from kb.qa_gen.leakage import Wordings
from kb.workspace import read_jsonl

FALSE_SHARE = 0.01
"""Share of the real rewordings that may be above the limit."""
LEAST_CAUGHT = 0.5
"""Share of the trifling edits that must be above it, or the embedder cannot tell the two apart and decides nothing."""
PLACES = 3
"""Decimal places of a cosine: how a text is batched changes the sixth, and decides nothing."""

Vectors = Callable[[Sequence[str]], np.ndarray]
"""Unit vectors of texts, shape (texts, dimensions)."""


@dataclass(frozen=True)
class Group:
    """Wordings of one question."""

    language: str
    trained: tuple[str, ...]
    trifles: tuple[str, ...]
    """Each of these with a trifle changed."""
    others: tuple[str, ...]
    """The question in other words."""


@dataclass(frozen=True)
class Limit:
    """From which cosine on an embedder says that two wordings differ in trifles alone."""

    embedder: str
    cosine: float
    """What is above it counts."""
    caught: Share
    """Of the trifling edits those above it."""
    false: Share
    """Of the real rewordings those above it."""

    @property
    def usable(self) -> bool:
        """Whether enough trifles are caught for it to decide anything."""
        return self.caught.value >= LEAST_CAUGHT

    def __str__(self) -> str:
        off = "" if self.usable else f"; that is fewer than {LEAST_CAUGHT:.0%}, so that it decides nothing"
        return (
            f"{self.embedder}, cosine {self.cosine:.3f}: above it are {self.caught.value:.1%} of {self.caught.of}"
            f" trifling edits and {self.false.value:.1%} of {self.false.of} real rewordings of the fictional world{off}"
        )


@functools.cache
def read_groups() -> tuple[Group, ...]:
    """The wordings that limits are measured on, of both languages."""
    with resources.as_file(resources.files(__package__).joinpath("calibration.jsonl")) as file:
        rows = read_jsonl(Path(file))
    return tuple(Group(row["language"], *(tuple(row[key]) for key in ("trained", "trifles", "others"))) for row in rows)


def measure(name: str, vectors: Vectors, groups: Sequence[Group]) -> Limit:
    """The limit of an embedder on these groups: the smallest that at most FALSE_SHARE of the rewordings are above."""
    trifles, others = nearest(vectors, [(group.trained, group.trifles, group.others) for group in groups])
    limit = sorted(others)[len(others) - 1 - math.floor(FALSE_SHARE * len(others))]
    return Limit(name, limit, _above(trifles, limit), _above(others, limit))


def nearest(vectors: Vectors, asked: Sequence[Sequence[Sequence[str]]]) -> list[list[float]]:
    """For each text its cosine with the nearest trained wording of its group.

    A group is its trained wordings and, after them, as many lists of texts as there are lists in the result: all
    texts of the first kind, all of the second. Everything is embedded in one go.
    """
    owns = [Wordings(tuple(trained)) for trained, *_ in asked]
    frames = [[[own.frame(text) for text in some] for some in kinds] for own, kinds in zip(owns, asked, strict=True)]
    texts = list(dict.fromkeys(text for kinds in frames for some in kinds for text in some))
    made = dict(zip(texts, vectors(texts), strict=True))
    return [
        [max(rounded(made[text] @ made[own]) for own in kinds[0]) for kinds in frames for text in kinds[kind]]
        for kind in range(1, len(frames[0]))
    ]


def rounded(cosine: float) -> float:
    """A cosine as it is compared and said."""
    return round(float(cosine), PLACES)


def _above(cosines: Sequence[float], limit: float) -> Share:
    return Share(sum(cosine > limit for cosine in cosines), len(cosines))
