"""A report as text: for the terminal (100 columns, no colour), as Markdown, as JSON, and all of it into a folder."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from kb.evaluate import untaught_text
from kb.evaluate.beside import Ring
from kb.evaluate.html import as_html
from kb.evaluate.markdown import as_markdown
from kb.evaluate.panels import benchmark_rows, by_document, cost_rows, general_rows, hybrid_rows, reading_rows
from kb.evaluate.results import ArmSummary, Report, Text
from kb.evaluate.sources import NO_SOURCES, Sources
from kb.evaluate.stats import Interval
from kb.evaluate.wording import (
    ARMS,
    CURED,
    CURES,
    FINDINGS,
    KINDS,
    RINGS,
    heading,
    judge_said,
    named,
    p_value,
    pair,
    percent,
    points,
    points_range,
    ratios,
    size,
)
from kb.records import Probe, Score
from kb.workspace import write_json, write_text

__all__ = ["as_html", "as_json", "as_markdown", "as_table", "write_report"]

WIDTH = 100
BESIDE = 4
"""Cells that fit beside a label."""
DIGITS = 6
"""Decimals of a number in JSON."""


def write_report(
    report: Report, probes: Sequence[Probe], scores: Sequence[Score], folder: Path, sources: Sources = NO_SOURCES
) -> dict[str, Path]:
    """Write report.json, report.md and report.html into `folder`; returns their paths by suffix."""
    paths = {suffix: folder / f"report.{suffix}" for suffix in ("json", "md", "html")}
    write_json(paths["json"], as_json(report))
    write_text(paths["md"], as_markdown(report))
    write_text(paths["html"], as_html(report, probes, scores, sources))
    return paths


def as_json(report: Report) -> dict[str, Any]:
    """The whole report as plain values: shares 0 to 1, what was not measured null, six decimals."""
    plain: dict[str, Any] = _plain(asdict(report))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def as_table(report: Report) -> str:
    """The report for a terminal: at most 100 columns, plain characters, the same figures as the JSON."""
    parts = [
        _fitted(heading(report)),
        "",
        *_arm_lines(report.arms),
        *_wording_lines(report.arms),
        *_document_lines(report.arms),
        "",
        *_comparison_lines(report),
        *_loss_lines(report),
        *untaught_text.lines(report),
        *_panel_lines("how far the model moved", general_rows(report.general)),
        *_panel_lines("public benchmarks, base -> tuned", benchmark_rows(report.benchmarks)),
        *_panel_lines("hybrid: by heart where sure, else from passages", hybrid_rows(report.hybrid)),
        *_panel_lines("where answers from passages are lost", reading_rows(report.attributions)),
        *_panel_lines("what it cost", cost_rows(report.cost)),
        *_apart_lines(report),
        *_finding_lines(report),
        "",
    ]
    if report.judging:
        parts += _wrapped("scorer", judge_said(report.judging).en)
    if report.checks:
        parts += [f"checks: {sum(check.ok for check in report.checks)} of {len(report.checks)} hold"]
    for warning in report.warnings:
        parts += _wrapped("warning", warning.en)
    said = " ".join(text.en for text in (report.verdict, *report.remarks)).replace("→", "->")
    parts += [*_wrapped("verdict", said), *_wrapped("next", report.next_step.en)]
    return "\n".join(line.rstrip() for line in parts) + "\n"


def _arm_lines(arms: Sequence[ArmSummary]) -> list[str]:
    lines = [
        f"{'arm':<14}{'correct':>7}  {'95% interval':<14}{'all right':>10}{'wrong':>8}{'abstain':>9}{'unparsed':>10}"
        f"{'near miss':>10}{'tokens':>8}{'s':>6}"
    ]
    for arm in arms:
        near = percent(arm.near_miss.value) if arm.near_miss else ""
        lines.append(
            f"{set_cell_size(named(ARMS, arm.arm).en, 13)} {percent(arm.correct.value):>7}  {_bounds(arm.correct):<14}"
            f"{percent(arm.all_right.value):>10}{percent(arm.wrong):>8}{percent(arm.abstained):>9}"
            f"{percent(arm.unparsed):>10}{near:>10}{arm.tokens:>8.0f}{arm.seconds:>6.2f}"
        )
    return lines


def _bounds(interval: Interval) -> str:
    """[ 5.6, 11.2]: aligned in a column."""
    return f"[{100 * interval.low:4.1f}, {100 * interval.high:4.1f}]"


def _wording_lines(arms: Sequence[ArmSummary]) -> list[str]:
    """How much hangs on the wording: what holds under all, is wrong under one, and how many pairs agree, in percent."""
    if not any(arm.same_verdict for arm in arms):
        return []
    names = ("all right", "worst is wrong", "same verdict", "same answer")
    lines = ["", f"{'wordings, in %':<20}{''.join(f'{name:^20}' for name in names)}"]
    for arm in arms:
        shown = (arm.all_right, arm.worst_wrong, arm.same_verdict, arm.same_answer)
        lines.append(f"{set_cell_size(named(ARMS, arm.arm).en, 20)}{''.join(_cell(one) for one in shown)}")
    return lines


def _document_lines(arms: Sequence[ArmSummary]) -> list[str]:
    """The intervals of the shares right with documents as clusters."""
    shown = [f"{named(ARMS, arm.arm).en} {_bounds(arm.by_document)}" for arm in arms if arm.by_document]
    text = "correct, by document: " + "   ".join(shown).replace(" ", "\0").replace("\0\0\0", "   ")
    lines = textwrap.wrap(text, WIDTH, subsequent_indent="  ") if shown else []
    return ["", *(line.replace("\0", " ") for line in lines)] if lines else []


def _comparison_lines(report: Report) -> list[str]:
    """Differences with p as it is and as it counts beside the others, and what other documents could give."""
    wide = any(one.by_document for one in report.comparisons)
    lines = [
        f"{'difference':<24}{'points':>6} {'95% interval':<16}{'p':<8}{'adjusted':<10}{'detectable':<12}"
        f"{'by document, p adjusted' if wide else ''}"
    ]
    for one in report.comparisons:
        change = f"{points(one.difference.value):>6} {points_range(one.difference):<16}"
        tests = f"{p_value(one.p):<8}{p_value(one.p_adjusted):<10}{size(one.detectable):<12}"
        lines.append(f"{set_cell_size(pair(one), 24)}{change}{tests}{by_document(one)}")
    if not report.comparisons:
        lines = []
    lines += [f"{label.en}: {value.en}" for label, value in ratios(report)]
    if report.venn:
        venn = report.venn
        counts = f"both {venn.both}   only RAG {venn.only_rag}   only tuned {venn.only_tuned}   neither {venn.neither}"
        lines.append(f"{'facts known by':<22}{counts}")
    return [*lines, *_gap_lines(report.gaps)]


def _gap_lines(arms: Sequence[ArmSummary]) -> list[str]:
    """How much better wordings do that were trained, the figures in one column."""
    rows = [
        (f"{named(ARMS, arm.arm).en}: trained wording", arm.trained.value, arm.gap)
        for arm in arms
        if arm.gap and arm.trained
    ]
    width = max([23, *(cell_len(label) for label, _, _ in rows)]) + 1
    return [
        f"{set_cell_size(label, width)}{percent(trained)}, {points(gap.value)} {points_range(gap)}"
        for label, trained, gap in rows
    ]


def _loss_lines(report: Report) -> list[str]:
    if not report.rings:
        return []
    lines = ["", f"{'base -> tuned':<74}{'p':<8}adjusted"]
    for ring in report.rings:
        mark = "  !" if ring.lost else ""
        span = f"{points_range(ring.difference):<16}{p_value(ring.p):<8}{p_value(ring.p_adjusted)}"
        lines.append(f"  {named(RINGS, ring.name).en:<30}{_change(ring)} {span}{mark}")
    return lines


def _panel_lines(title: str, rows: Sequence[tuple[Text, Text]]) -> list[str]:
    width = max([51, *(cell_len(label.en) for label, _ in rows)]) + 1
    return ["", title, *(f"  {set_cell_size(label.en, width)}{figure.en}" for label, figure in rows)] if rows else []


def _apart_lines(report: Report) -> list[str]:
    """Every kind with what each arm has right of it, in percent, for as many arms at once as fit beside one another."""
    lines, arms = [], report.apart_arms
    for start in range(0, len(arms) if report.apart else 0, BESIDE):
        shown = arms[start : start + BESIDE]
        lines += ["", f"{'apart, in % (facts)':<20}{''.join(_centred(named(ARMS, arm).en) for arm in shown)}"]
        for one in report.apart:
            label, found = f"{named(KINDS, one.kind).en} ({one.facts})", (one.correct.get(arm) for arm in shown)
            lines.append(f"{label:<20}{''.join(_cell(share) for share in found)}")
    return lines


def _centred(name: str) -> str:
    """A name over the middle of a cell, cut where it is wider."""
    name = set_cell_size(name, min(cell_len(name), 19))
    return set_cell_size(" " * ((20 - cell_len(name)) // 2) + name, 20)


def _cell(share: Interval | None) -> str:
    """A share with its interval in percent, 20 columns."""
    return f" {100 * share.value:>5.1f} {_bounds(share):<13}" if share else " " * 20


def _finding_lines(report: Report) -> list[str]:
    """How many facts each thing is to be done about, and what."""
    if not report.findings:
        return []
    lines = ["", f"{'finding (facts)':<26}what to do ({CURED.en})"]
    for one in report.findings:
        lines.append(f"  {f'{named(FINDINGS, one.name).en} ({one.facts})':<24}{CURES[one.name].en}")
    return lines


def _change(ring: Ring) -> str:
    return f"{percent(ring.base.value):>6} -> {percent(ring.tuned.value):>6} {points(ring.difference.value):>7}"


def _wrapped(label: str, text: str) -> list[str]:
    """A labelled paragraph; lines with Chinese, which textwrap counts as half as wide as it is, are folded by cells."""
    if cell_len(text) == len(text):
        return textwrap.wrap(f"{label}: {text}", WIDTH, subsequent_indent="  ")
    lines, line = [], f"{label}: "
    for letter in text:
        if cell_len(line) + cell_len(letter) > WIDTH:
            lines.append(line)
            line = "  "
        line += letter
    return [*lines, line]


def _fitted(line: str) -> str:
    return line if cell_len(line) <= WIDTH else set_cell_size(line, WIDTH - 3).rstrip() + "..."
