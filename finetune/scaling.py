"""How much of a trained adapter is kept: the scale that the watch chooses once the teaching is done. No torch here.

Going back towards the base on the straight line between the two gives back what was forgotten sooner than it takes what
was learnt (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903). For LoRA the line is a factor on what the adapter adds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kb.finetune.stopping import FALLEN, Look, below
from kb.workspace import write_jsonl

SCALES = tuple(number / 20 for number in range(19, 9, -1))
"""Tried one after the other, in this order."""
IN_A_ROW = 2
"""Scales in a row that are no better than the best before them, after which no smaller one is tried."""
TRIES = "scales.jsonl"
"""File of a stage with one tried scale a line; the first is 1, the adapter as it was trained."""


@dataclass(frozen=True)
class Try:
    """What the model knows with its adapter at a scale."""

    scale: float
    look: Look

    @property
    def worth(self) -> float:
        """Mean of the shares that are watched: a point of the documents counts as much as one of what the base knew, of
        what it declined, and of what it says to general prompts.
        """
        look = self.look
        shares = (look.held_out, look.known, look.refused, look.agreement)
        return fmean(share for share in shares if share is not None)

    def __str__(self) -> str:
        return f"scale {self.scale:g}: {self.look}"


def hopeful(look: Look) -> bool:
    """Whether anything was lost that a smaller scale could give back."""
    return any(share is not None and share < 1 for share in (look.known, look.refused, look.agreement))


def chosen(tries: Sequence[Try]) -> Try:
    """The try that is worth most, and of equals the largest scale; never one that knows less of the documents than the
    first by more than `FALLEN` standard errors of the difference, paired by fact.
    """
    return max((one for one in tries if not _fallen(one, tries)), key=lambda one: (one.worth, one.scale))


def settled(tries: Sequence[Try]) -> bool:
    """Whether smaller scales need not be tried: too much of the documents is gone, or it only gets worse."""
    best = chosen(tries)
    return _fallen(tries[-1], tries) or len(tries) - 1 - list(tries).index(best) >= IN_A_ROW


def _fallen(one: Try, tries: Sequence[Try]) -> bool:
    return below(one.look, tries[0].look, FALLEN)


def write_tries(folder: Path, tries: Sequence[Try]) -> None:
    """Keep what was seen at each scale."""
    write_jsonl(folder / TRIES, ({"scale": one.scale, "worth": one.worth} | one.look.row() for one in tries))


def scale_lines(folder: Path) -> list[str]:
    """What the tries of the stage in a folder say, for the report; nothing where none was made."""
    file = folder / TRIES
    if not file.exists():
        return []
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    tries = [Try(row["scale"], Look.of(row)) for row in rows]
    return [f"  tried {len(tries) - 1} smaller scales; kept: {chosen(tries)}"]
