"""What `kb bench run` found, as records, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.cells import set_cell_size

from kb.errors import GateFailed
from kb.evaluate.stats import Interval, told_apart
from kb.evaluate.wording import p_value, percent, points, points_range

WIDTH = 100


@dataclass(frozen=True)
class Answered:
    """One item as both models answered it."""

    id: str
    subject: str
    question: str
    base: float
    """1 for a right answer, 0 for a wrong one."""
    tuned: float
    shift: float | None
    """Log-probability of the right choice, tuned minus base, in nats; None for a task without choices."""


@dataclass(frozen=True)
class TaskResult:
    """A benchmark before and after tuning."""

    name: str
    items: int
    clusters: int
    """Subjects where there are enough of them, else items."""
    base: Interval
    """Share of right answers."""
    tuned: Interval
    difference: Interval
    """Tuned minus base, paired by item."""
    p: float
    """Sign-flip test over clusters, two-sided, by itself."""
    p_adjusted: float
    """The same after Holm, for all benchmarks that are read together."""
    detectable: float
    """The smallest true difference that so many items would show 80% of the time."""
    shift: Interval | None
    """Mean of `Answered.shift`, nats: what accuracy is too coarse to show; None for a task without choices."""
    worst: tuple[Answered, ...]
    """What was lost: right before and wrong after, the largest fall of the right choice first, then other falls."""
    metric: str
    differs: str
    """What is not as in the published protocol."""
    licence: str
    sources: Mapping[str, str]
    """File name to its SHA-256."""

    @property
    def sign(self) -> int:
        """1 or -1 where interval and adjusted p both say that tuning changed the share of right answers, else 0."""
        return told_apart(self.difference, self.p_adjusted)


@dataclass(frozen=True)
class BenchReport:
    """All benchmarks that were run."""

    name: str
    created: str
    run: str
    tasks: tuple[TaskResult, ...]
    applied: bool
    """Whether base and tuned differ in any answer or log-probability: an adapter that is not on changes none."""
    provenance: Mapping[str, str]
    folder: str

    @property
    def exit_code(self) -> int:
        """3 when the adapter changed nothing at all, else 0."""
        return 0 if self.applied else GateFailed.exit_code

    def json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For the terminal: at most 100 columns, plain characters."""
        lines = [f"{self.name}   base -> tuned   {self.created}", "", _row(*HEAD)]
        lines += [_row(*_cells(task)) for task in self.tasks]
        for task in self.tasks:
            lines += ["", *_worst(task)]
        lines += ["", "not as published:", *(_cut(f"  {task.name}: {task.differs}") for task in self.tasks)]
        if not self.applied:
            lines.append("CHECK FAILED: base and tuned agree in every digit: the adapter changes nothing")
        return [*lines, f"report: {self.folder}/bench.md"]

    def markdown(self) -> str:
        """The same for a file, with every figure's source."""
        rows = [" | ".join(("", *cells, "")).strip() for cells in (HEAD, *(_cells(task) for task in self.tasks))]
        parts = [f"# {self.name}", "", rows[0], "|" + " --- |" * len(HEAD), *rows[1:]]
        for task in self.tasks:
            files = ", ".join(f"{file} (SHA-256 {digest})" for file, digest in task.sources.items())
            parts += ["", f"## {task.name}", "", f"Licence: {task.licence}. Source: {files}."]
            parts += [f"Measured: {task.metric}. Not as published: {task.differs}.", "", "```", *_worst(task), "```"]
        parts += ["", "## Provenance", "", *(f"- {key}: {value}" for key, value in self.provenance.items())]
        return "\n".join(parts) + "\n"


HEAD = ("task", "items", "base", "tuned", "difference", "p (Holm)", "detectable", "gold log-prob (nats)")
WIDTHS = (11, 7, 8, 8, 24, 9, 11, 22)


def _row(*cells: str) -> str:
    return "".join(set_cell_size(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _cells(task: TaskResult) -> tuple[str, ...]:
    shift = "" if task.shift is None else f"{task.shift.value:+.2f} [{task.shift.low:+.2f}, {task.shift.high:+.2f}]"
    difference = f"{points(task.difference.value)} {points_range(task.difference)}{'!' if task.sign < 0 else ''}"
    shares = percent(task.base.value), percent(task.tuned.value)
    return (
        task.name,
        str(task.items),
        *shares,
        difference,
        p_value(task.p_adjusted),
        f"{100 * task.detectable:.1f}",
        shift,
    )


def _worst(task: TaskResult) -> list[str]:
    if not task.worst:
        return [f"{task.name}: nothing was lost"]
    lines = [f"{task.name}, worst first:"]
    for one in task.worst:
        fall = "" if one.shift is None else f"{one.shift:+.2f} "
        lost = "lost  " if one.tuned < one.base else "      "
        question = " ".join(one.question.split())
        lines.append(_cut(f"  {lost}{fall}{f'[{one.subject}] ' if one.subject else ''}{question}"))
    return lines


def _cut(line: str) -> str:
    fitted = set_cell_size(line, WIDTH).rstrip()
    return line if fitted == line else set_cell_size(line, WIDTH - 3).rstrip() + "..."
