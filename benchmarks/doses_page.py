"""The page and the curves of `doses.py`, made of its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from retention import difference, interval, mean_shares, percent
from tellings import HELD, MIXES, Cell

from kb.evaluate import stats

MEASURES = {
    "held_out": "held-out wordings right",
    "all_right": f"all {HELD} held-out wordings right",
    "trained": "a trained wording right",
    "near_miss": "near misses declined",
    "never": "never seen: declined",
    "known": "known before: still right",
}
COLOURS = dict(zip(MIXES, ("#1f6fb4", "#8a8a8a", "#c2571a"), strict=True))
MARKS = dict(zip(MIXES, "osD", strict=True))


@dataclass(frozen=True)
class Outcome:
    """One training, asked all probes."""

    cell: Cell
    seed: int
    facts: int
    steps: int
    batch: int
    cpu_seconds: float
    shares: dict[str, dict[str, float]]
    """By kind of probe and fact (for rings: cluster), the share of the probes answered right."""

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Outcome:
        """The outcome that a result file keeps; whether all held-out wordings of a fact are right is added."""
        shares = kept["shares"]
        shares["all_right"] = {fact: float(share == 1) for fact, share in shares["held_out"].items()}
        setting = kept["setting"]
        return cls(
            Cell(**kept["cell"]), kept["seed"], kept["facts"], setting["steps"], setting["batch"],
            kept["cpu_seconds"], shares,
        )  # fmt: skip

    def mean(self, kind: str) -> float:
        """The mean over facts of a kind of probe."""
        own = self.shares[kind]
        return sum(own.values()) / len(own)


Grid = dict[Cell, list[Outcome]]


def by_cell(outcomes: Sequence[Outcome]) -> Grid:
    """The outcomes of all seeds under their cell, mixes and doses in order."""
    order = sorted({one.cell for one in outcomes}, key=lambda c: (c.negatives, list(MIXES).index(c.mix), c.dose))
    return {cell: [one for one in outcomes if one.cell == cell] for cell in order}


def estimate(runs: Sequence[Outcome], kind: str) -> stats.Interval:
    """The mean share over facts, each fact's averaged over the seeds first, with its interval.

    The wordings of one seed bound the effective number of probes: another seed asks the same ones.
    """
    means = mean_shares(runs, kind)
    probes = len(means) * (HELD if kind == "held_out" else 1)
    found = stats.share_intervals(np.array(list(means.values()))[:, None], probes)[0]
    assert found is not None
    return found


def cell_text(runs: Sequence[Outcome], kind: str) -> str:
    """A table's cell: mean, interval, and range over seeds; a dash where nothing of the kind was asked."""
    if kind not in runs[0].shares:
        return "–"
    values = [one.mean(kind) for one in runs]
    return f"{interval(asdict(estimate(runs, kind)))} ({percent(min(values))} to {percent(max(values))})"


def page(outcomes: Sequence[Outcome], curves: str) -> str:
    """The Markdown page; `curves` is the picture's file name."""
    grid = by_cell(outcomes)
    picture = f"![Retention by dose and mix]({curves})"
    return "\n\n".join([_head(outcomes), picture, _doses(grid), _steps(grid), _negatives(grid), LIMITS]) + "\n"


def _head(outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    seeds = {one.seed for one in outcomes}
    doses = {one.cell.dose for one in outcomes}
    listed = [" ".join(map(str, sorted(numbers))) for numbers in (seeds, doses)]
    cost = sum(one.cpu_seconds for one in outcomes)
    return HEAD.format(
        seeds=listed[0], doses=listed[1], steps=first.steps, batch=first.batch, facts=first.facts, runs=len(outcomes),
        minutes=round(cost / 60), each=round(median(one.cpu_seconds for one in outcomes)), held=HELD,
    )  # fmt: skip


def _doses(grid: Grid) -> str:
    lines = [
        "## By dose and mix",
        "Mean over facts and seeds [95% interval, facts as clusters] (lowest to highest seed).",
        "",
        f"| tellings | dose | seeds | {' | '.join(MEASURES.values())} |",
        "|" + " --- |" * (len(MEASURES) + 3),
    ]
    for cell, runs in grid.items():
        if not cell.negatives:
            cells = [MIXES[cell.mix], str(cell.dose), str(len(runs)), *(cell_text(runs, kind) for kind in MEASURES)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _steps(grid: Grid) -> str:
    """Differences between doses of a mix, and between mixes at a dose."""
    rows = []
    plain = [cell for cell in grid if not cell.negatives]
    for mix in MIXES:
        own = [cell for cell in plain if cell.mix == mix]
        rows += [(f"{MIXES[mix]}: {b.dose} - {a.dose}", b, a) for a, b in pairwise(own)]
    for mix in ("1:1", "prose"):
        rows += [
            (f"dose {cell.dose}: {MIXES[mix]} - {MIXES['QA']}", cell, Cell("QA", cell.dose))
            for cell in plain
            if cell.mix == mix and Cell("QA", cell.dose) in grid
        ]
    rows += [
        (f"1:1, dose {cell.dose} - QA only, dose {cell.wordings}: as many wordings, with texts", cell, questions)
        for cell in plain
        if cell.mix == "1:1" and (questions := Cell("QA", cell.wordings)) in grid
    ]
    lines = ["## Differences on held-out wordings", PAIRED, "", "| difference | mean | p |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {_difference(grid, a, b, 'held_out')} |" for name, a, b in rows)])


def _negatives(grid: Grid) -> str:
    lines = [
        "## With and without negatives", NEGATIVES, "", PAIRED, "",
        "| tellings | dose | measure | without | with | difference | p |", "|" + " --- |" * 7,
    ]  # fmt: skip
    for cell, runs in grid.items():
        without = Cell(cell.mix, cell.dose)
        if cell.negatives and without in grid:
            for kind, name in MEASURES.items():
                texts = [cell_text(grid[without], kind), cell_text(runs, kind), _difference(grid, cell, without, kind)]
                lines.append(f"| {MIXES[cell.mix]} | {cell.dose} | {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _difference(grid: Grid, first: Cell, second: Cell, kind: str) -> str:
    return difference(mean_shares(grid[first], kind), mean_shares(grid[second], kind))


def draw(outcomes: Sequence[Outcome], file: Path) -> None:
    """The curves as SVG (or what the suffix says), the same bytes each time: a line a mix, intervals as bars."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "kb", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
    from matplotlib import pyplot

    grid = {cell: runs for cell, runs in by_cell(outcomes).items() if not cell.negatives}
    doses = sorted({cell.dose for cell in grid})
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.9), sharey=True, layout="constrained")
    for panel, kind in zip(panels, ("held_out", "all_right"), strict=True):
        for mix in MIXES:
            _line(panel, mix, {cell.dose: estimate(runs, kind) for cell, runs in grid.items() if cell.mix == mix})
        panel.set_xscale("log", base=2)
        panel.set_xticks(doses, map(str, doses), minor=False)
        panel.minorticks_off()
        panel.set_ylim(-0.02, 1.02)
        panel.set_title(MEASURES[kind], fontsize=10)
        panel.set_xlabel("different tellings of a fact (log scale)")
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share, with 95% interval")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MIXES), frameon=False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=110)
    pyplot.close(figure)


def _line(panel: Any, mix: str, points: dict[int, stats.Interval]) -> None:
    """One mix: its doses moved apart by a few hundredths, so that bars of different mixes do not cover each other."""
    if not points:
        return
    shift = 1 + 0.03 * (list(MIXES).index(mix) - 1)
    values = np.array([[one.value, one.value - one.low, one.high - one.value] for one in points.values()]).T
    panel.errorbar(
        [dose * shift for dose in points], values[0], yerr=values[1:], color=COLOURS[mix], marker=MARKS[mix],
        markersize=5, linewidth=1.5, elinewidth=1, capsize=2, label=MIXES[mix],
    )  # fmt: skip


HEAD = """\
# Retention by dose and mix
Made by `python benchmarks/doses.py --seeds {seeds} --doses {doses} --steps {steps} --out docs/measurements/doses.md`:
{runs} trainings, {minutes} minutes of one core in all, {each} seconds for the median one.

A dose is the number of different tellings of a fact: questions in wordings of their own with the short answer, texts
that state it, or both (half and half; the odd one is a question). The {facts} facts are those of about a third of the
handbook's documents, in both languages. The tellings are written from the truth, so that nothing else differs: every
training has {steps} SFT steps on batches of {batch}, the same LoRA, and about as many rows, among which fewer tellings
are repeated more often. Every fact is probed with {held} of the six wordings of family B, of which none is trained."""
PAIRED = """\
Each fact's shares averaged over the seeds first; intervals with facts as clusters, sign-flip p, not adjusted for the
number of rows."""
NEGATIVES = """\
Every other fact also brings a question about a near miss, a name that differs from its own in one word, to be declined;
each of these rows stands as often as one of a fact's wordings. As `kb train` does with every refusal, it is trained
without passages and with those that are found for it. The near misses asked are others than those trained. The steps
are as many as without: the refusals take theirs from the facts."""
LIMITS = """\
## How to read this
- Wordings are drawn for each fact from the world's six, so that even at dose 1 the set as a whole has all six. With
  one wording [retention.md](retention.md) keeps less: there, more than three times as many facts share their steps with
  full sentences, passages and refusals. Which of these it is was not measured. Compare doses within a page only.
- How far apart the doses are depends on the steps: here a few trained wordings are not learned yet, and with
  `--steps 225` (seed 0 alone was tried) the small doses keep more. The steps were lowered after that, because the
  curve stood at its ceiling.
- Before it is tuned the model declines near misses and names it never saw, and answers what it knew, almost always
  ([retention.md](retention.md)): what is missing to 1.00 in these columns is the price.
- The lab model has met every wording of the world, held-out ones too, about other entities: it has to recall a fact,
  not to understand a new way of asking. In a world of templates a few wordings are enough. With a real model and real
  text the curves are expected to rise for longer, and no figure from here carries over.
- Prose alone: the model was pretrained to answer questions and never to take facts out of texts, and nothing in these
  rows shows how. Where it declines every question, it declines near misses too, which is no virtue. That says something
  about a model of two million parameters, and not that texts are useless.
- A text tells about five facts, so in as many steps prose shows each fact five times as often as questions do. In the
  mix, questions and texts tell it equally often, each of them less often than alone. The curves compare numbers of
  tellings, not of tokens.
- There are five wordings of a statement: beyond five texts only order and neighbours are new. The four wordings of
  dose 10 beyond the world's six (`benchmarks/tellings.py`) are new to the lab model.
- Left out, because it would hide the doses: reading rows (but for those of the refusals), answers in full sentences,
  and all of the replay but its closed-book rows (replay is 30% of all rows). Reading was therefore not measured. The
  texts are asked for by a prompt as short as the lab's own, and the model is not loaded in 4 bits: that is slower on
  a CPU.
- The intervals hold for these facts and the mean of these seeds; the range beside them is what a seed changes."""
