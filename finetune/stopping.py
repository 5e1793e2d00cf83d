"""What the watch decides: which adapter is kept and when training ends. Pure functions of what was seen; no torch here.

Knowledge is the share of held-out wordings answered right, the mean over the watched facts; two looks are compared by
the standard error of their difference paired by fact, since the wordings of one fact stand and fall together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from kb.finetune.config import TrainConfig
from kb.progress import duration

LOOKS = "watch.jsonl"
"""File of a stage with one look a line."""
LEAST = 8
"""Watched facts below which nothing is decided: one fact more or less would decide it."""
FALLEN = 2.0
"""Standard errors below the highest that count as a fall, and above the first that count as taught."""
ROUNDING = 1e-9
IN_A_ROW = 2
"""Looks in a row that must show a fall or a loss before it ends the training."""
GENERAL_TIE = 0.01
"""General loss up to which two looks count as alike: a point, which is what a whole run may cost."""


@dataclass(frozen=True)
class Look:
    """What the model knows after so many steps. Shares are 0 to 1; None where nothing of the kind is watched."""

    step: int
    held_out: float
    """Mean of `facts`."""
    trained: float
    """Share of the facts that are right in a trained wording."""
    known: float | None
    """Share still right of what the base answers right, which is never trained."""
    refused: float | None
    """Share of held-out questions without an answer that are declined."""
    agreement: float | None
    """Share of the tokens of the base's own answers to general prompts that are the likeliest still."""
    kl: float | None
    """KL(base || tuned) on the same tokens, nats a token."""
    seconds: float
    """What the look took."""
    training: float
    """Seconds of training since the look before."""
    facts: tuple[float, ...]
    """Share of the held-out wordings of each watched fact that are right, in the order of the watchlist."""
    counts: dict[str, int]
    """Questions, prompts and tokens behind the figures."""

    @property
    def gap(self) -> float:
        """What was learnt of the trained wording and not of the fact: overfitting."""
        return self.trained - self.held_out

    @property
    def general_loss(self) -> float:
        """Share of the base's tokens lost; 0 where there are no general prompts."""
        return 0.0 if self.agreement is None else 1.0 - self.agreement

    @property
    def figures(self) -> dict[str, float]:
        """What is drawn, by name."""
        found = {
            "held_out": self.held_out, "trained": self.trained, "gap": self.gap, "known": self.known,
            "refused": self.refused, "agreement": self.agreement, "kl": self.kl,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    def row(self) -> dict[str, Any]:
        """The line of watch.jsonl."""
        return asdict(self) | {"gap": self.gap, "general_loss": self.general_loss}

    @classmethod
    def of(cls, row: dict[str, Any]) -> Look:
        """The look of a line. Raises KeyError and TypeError for one that is not whole."""
        return cls(**{key: row[key] for key in cls.__dataclass_fields__} | {"facts": tuple(row["facts"])})

    def __str__(self) -> str:
        said = f"held-out {self.held_out:.0%}, trained {self.trained:.0%}, gap {_points(self.gap)}"
        said += "" if self.known is None else f", known {self.known:.0%}"
        said += "" if self.refused is None else f", declined {self.refused:.0%}"
        if self.kl is None:
            return said
        return f"{said}, general loss {_points(self.general_loss)}, KL {self.kl:.3f}"


def read_looks(folder: Path) -> list[Look]:
    """The looks at the stage in a folder, up to a line that a kill has torn; none where it was not watched."""
    file = folder / LOOKS
    return list(_whole(file.read_text(encoding="utf-8").splitlines())) if file.exists() else []


def _whole(lines: Iterable[str]) -> Iterator[Look]:
    for line in lines:
        try:
            row = json.loads(line)
            yield Look.of(row)
        except (ValueError, KeyError, TypeError):
            return


@dataclass(frozen=True)
class Rules:
    """By what a stage is decided."""

    early_stop: bool = True
    patience: int = 3
    general_margin: float = 0.05
    teaches: bool = True
    """Whether the stage is the one that teaches. There the untrained adapter is no choice, and knowledge that stands
    still is a reason to end; a later stage may end as it began, and is not there to raise it."""
    rescales: bool = False
    """Whether the adapter is scaled afterwards, which weighs what was lost against what was learnt."""

    @classmethod
    def of(cls, config: TrainConfig, stage: str) -> Rules:
        """Those of a stage of a run."""
        teaches = stage == config.stages[0]
        return cls(config.early_stop, config.patience, config.general_margin, teaches, teaches and config.rescales)


def decides(facts: int) -> bool:
    """Whether so many watched facts decide anything."""
    return facts >= LEAST


def standard_error(one: Look, other: Look) -> float:
    """Of the difference in knowledge between two looks at the same facts, two or more."""
    differences = [a - b for a, b in zip(one.facts, other.facts, strict=True)]
    return stdev(differences) / math.sqrt(len(differences))


def kept(looks: Sequence[Look], rules: Rules) -> Look | None:
    """The look whose adapter is the stage's; None before the first one that can be.

    Looks are gone through in their order. In the stage that teaches each takes the place of the one that was kept so
    far, unless
    1. it knows less than the highest before it or than the kept one, by more than a standard error of the difference;
    2. or knowledge does not tell it from the kept one, its general loss is higher by more than `GENERAL_TIE`, and the
       adapter is not scaled afterwards, which gives back more, and goes farther with what is known more surely.
    So of looks that do not differ the last is kept, which has seen most rows at the lowest learning rate; and where the
    looks before it had taught nothing yet, there is nothing to compare. A later stage is there for something else: a
    look takes the place unless it is below the highest before it by more than `FALLEN` errors, which may be that from
    before the first step. With fewer than `LEAST` facts it is the last one, whatever was seen.

    What is kept is always the look at hand or what was kept before it, so one adapter on disk is enough.
    """
    best: Look | None = None
    seen: list[Look] = []
    for look in _choice(looks, rules):
        comparable = decides(len(look.facts)) and taught(looks, seen, rules)
        if best is None or not comparable or not _worse(look, best, _highest(seen), rules):
            best = look
        seen.append(look)
    return best


def _worse(look: Look, best: Look, top: Look, rules: Rules) -> bool:
    """Whether a look does not take the place of the best one, where `top` knew most before it."""
    if not rules.teaches:
        return below(look, top, FALLEN)
    alike = not below(best, look) and look.general_loss > best.general_loss + GENERAL_TIE
    return below(look, top) or below(look, best) or (alike and not rules.rescales)


def _choice(looks: Sequence[Look], rules: Rules) -> list[Look]:
    """The looks whose adapter can be the stage's."""
    return [look for look in looks if look.step or not rules.teaches]


def taught(looks: Sequence[Look], some: Sequence[Look], rules: Rules) -> bool:
    """Whether some of the looks know more than the first did, beyond chance: a few lucky guesses are no knowledge.

    What a later stage has to keep was taught before it.
    """
    return bool(some) and (not rules.teaches or below(looks[0], _highest(some), FALLEN))


def stop_reason(looks: Sequence[Look], rules: Rules) -> str:
    """Why a stage should end after the last of these looks; empty where it should not.

    Knowledge has fallen: at the last two looks it is below the highest by more than twice the standard error. It stands
    still: `patience` looks ago it was within a standard error of the highest already, and that is above what there was
    before the first step, by twice the error; a stage that has taught nothing yet goes on, since facts are often learnt
    late and then at once. The general loss has passed its margin at the last two looks. Never with fewer than `LEAST`
    facts.
    """
    choice = _choice(looks, rules)
    if not rules.early_stop or len(choice) < IN_A_ROW or not decides(len(looks[0].facts)):
        return ""
    top, last = _highest(choice), choice[-IN_A_ROW:]
    if all(below(look, top, FALLEN) for look in last):
        return f"held-out knowledge has fallen from {top.held_out:.0%} at step {top.step} to {last[-1].held_out:.0%}"
    margin = rules.general_margin
    if margin and all(look.general_loss > margin + ROUNDING for look in last):
        return f"the general loss is {_points(last[-1].general_loss)}, above {_points(margin)}"
    place = next(place for place, look in enumerate(choice) if not below(look, top))
    since, first = len(choice) - 1 - place, choice[place]
    if rules.teaches and rules.patience and since >= rules.patience and taught(looks, choice, rules):
        return (
            f"held-out knowledge has not risen beyond chance for {since} looks: {first.held_out:.0%} at step"
            f" {first.step}, {top.held_out:.0%} at most"
        )
    return ""


def _highest(looks: Sequence[Look]) -> Look:
    """The first of those that know most."""
    return max(looks, key=lambda look: look.held_out)


def below(look: Look, other: Look, errors: float = 1.0) -> bool:
    """Whether it knows less than the other by more than so many standard errors.

    A difference of one fact alone is exactly one; rounding must not decide it.
    """
    return other.held_out - look.held_out > errors * standard_error(look, other) + ROUNDING


def look_steps(steps: int, times: int) -> frozenset[int]:
    """The steps after which a stage of so many is looked at: `times` of them at even distances, the last at its end."""
    return frozenset(round(steps * number / times) for number in range(1, times + 1)) - {0}


def summary(stage: str, looks: Sequence[Look], rules: Rules, planned: int) -> list[str]:
    """What the looks at a stage of `planned` steps say, for the report: the figures, the cost, and why it ended."""
    best = kept(looks, rules)
    if best is None:
        return []
    first, last, facts = looks[0], looks[-1], len(looks[0].facts)
    said = f"watch, {stage}: held-out {first.held_out:.0%} before, {best.held_out:.0%} at step {best.step} (kept)"
    lines = [
        f"{said}, {last.held_out:.0%} at the end (step {last.step} of {planned}; {facts} facts)",
        f"  kept: {best}",
        f"  {len(looks)} looks took {duration(sum(look.seconds for look in looks))},"
        f" {_share(looks):.0%} of the time of the stage",
    ]
    reason = stop_reason(looks, rules) if last.step < planned else ""
    if reason:
        lines.append(f"  ended {planned - last.step} steps early: {reason}")
    if not decides(facts):
        lines.append(f"  {facts} facts are fewer than {LEAST}: they are shown, and nothing is decided by them")
    return lines


def _share(looks: Sequence[Look]) -> float:
    """Share of the time that the looks took."""
    watching = sum(look.seconds for look in looks)
    return watching / max(watching + sum(look.training for look in looks), 1e-9)


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
