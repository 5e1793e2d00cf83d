"""A report as GitHub Markdown, for pull requests and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb.evaluate import panels, training_set, untaught_text
from kb.evaluate.diagnosis import in_order
from kb.evaluate.results import VERDICTS, Apart, ArmSummary, FactRow, Report, Slice, Text
from kb.evaluate.stats import Interval
from kb.evaluate.wording import (
    APART,
    ARMS,
    CURED,
    CURES,
    DIMENSIONS,
    FINDINGS,
    KINDS,
    RINGS,
    SHRUNKEN,
    SLICES,
    UNTAUGHT,
    heading,
    judge_said,
    named,
    p_value,
    pair,
    percent,
    percent_range,
    points,
    points_range,
    ratios,
    size,
)

LISTED = 20
"""Facts that are listed per group; report.json has them all."""


def as_markdown(report: Report) -> str:
    """The report as GitHub Markdown. Text that came from documents or models is escaped, in tables and outside."""
    parts = [
        f"# Retention report: {escaped(report.name)}",
        escaped(heading(report)),
        *_opening(report),
        *_arms_section(report),
        _notes(report),
        *_rings_section(report),
        *_untaught_section(report),
        *_panel_section(panels.GENERAL, panels.general_rows(report.general)),
        *_panel_section(panels.BENCHMARKS, panels.benchmark_rows(report.benchmarks)),
        *_panel_section(panels.HYBRID, panels.hybrid_rows(report.hybrid)),
        *_panel_section(panels.READING, panels.reading_rows(report.attributions)),
        *_panel_section(panels.COST, panels.cost_rows(report.cost)),
        *_apart_section(report),
        *(line for dimension in DIMENSIONS for line in _slice_section(report, dimension)),
        *_findings_section(report),
        *_facts_section(report),
        *_set_section(report),
        *_scorer_section(report),
        *_provenance_section(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(report: Report) -> list[str]:
    """The verdict in both languages; the space after the stars lets bold end before a Chinese letter."""
    more = (*report.remarks, report.next_step)
    return [
        f"**{escaped(report.verdict.en)}** {' '.join(escaped(text.en) for text in more)}",
        f"**{escaped(report.verdict.zh)}** {''.join(escaped(text.zh) for text in more)}",
        "\n".join(f"- Warning: {escaped(warning.en)} {escaped(warning.zh)}" for warning in report.warnings),
    ]


def _arms_section(report: Report) -> list[str]:
    if not report.arms:
        return []
    rates = ("wrong", "abstained", "unparsed", "near miss declined", "tokens")
    parts = [
        "## Arms, on held-out wordings",
        grid(("arm", "correct", "95% interval", "all wordings", *rates), (_arm_cells(arm) for arm in report.arms)),
    ]
    rows = [
        (
            pair(one), points(one.difference.value), points_range(one.difference), p_value(one.p),
            p_value(one.p_adjusted), size(one.detectable), panels.by_document(one),
        )
        for one in report.comparisons
    ]  # fmt: skip
    header = ("arms", "difference", "95% interval", "p", "p adjusted", "smallest detectable", "by document, p adjusted")
    parts += ["## Paired differences, in points", grid(header, rows)] if rows else []
    return [*parts, *_wordings_section(report)]


def _wordings_section(report: Report) -> list[str]:
    """What hangs on the wording, and the share right with documents as clusters."""
    if not any(arm.same_verdict or arm.by_document for arm in report.arms):
        return []
    rows = [
        (
            named(ARMS, arm.arm).en,
            *(_cell(one) for one in (arm.all_right, arm.worst_wrong, arm.same_verdict, arm.same_answer)),
            percent_range(arm.by_document) if arm.by_document else "",
        )
        for arm in report.arms
    ]
    header = ("arm", "all right", "worst is wrong", "same verdict", "same answer", "correct, by document")
    return ["## Over the wordings of a fact", grid(header, rows)]


def _set_section(report: Report) -> list[str]:
    rows = [(label.en, text.en) for label, text in training_set.rows(report.training_set)]
    return ["## The questions", grid(("what", "value"), rows)] if rows else []


def _scorer_section(report: Report) -> list[str]:
    rows = [(rule.rule, rule.total, rule.correct, rule.wrong, rule.abstained, rule.unparsed) for rule in report.audit]
    likeness = [
        (named(ARMS, one.arm).en, *(percent(share) for share in (one.exact, one.f1, one.rouge_l)))
        for one in report.overlaps
    ]
    note = "Diagnostics, which decide nothing: how much of the gold the held-out answers repeat."
    more = [escaped(judge_said(report.judging).en)] if report.judging else []
    more += [note, grid(("arm", "exact match", "F1", "ROUGE-L"), likeness)] if likeness else []
    return ["## Scorer", grid(("rule", "verdicts", *VERDICTS), rows), *more] if rows else []


def _provenance_section(report: Report) -> list[str]:
    checks = "\n".join(
        f"- {'ok' if one.ok else '**FAILED**'}: {escaped(one.name)} ({escaped(one.detail)})" for one in report.checks
    )
    made_from = grid(("what", "value"), report.provenance.items())
    return ["## Checks and provenance", checks, made_from] if checks or made_from else []


def escaped(text: object) -> str:
    """Text that Markdown shows as it is: no table cell, link, emphasis or HTML can begin in it, and no line can end."""
    flat = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|~#$" else letter for letter in flat)


def grid(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, its cells escaped and its header not; "" without rows."""
    lines = [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *lines]) if lines else ""


def _arm_cells(arm: ArmSummary) -> tuple[object, ...]:
    return (
        named(ARMS, arm.arm).en, percent(arm.correct.value), percent_range(arm.correct), percent(arm.all_right.value),
        percent(arm.wrong), percent(arm.abstained), percent(arm.unparsed), _cell(arm.near_miss), f"{arm.tokens:.0f}",
    )  # fmt: skip


def _notes(report: Report) -> str:
    notes = []
    notes += [f"- {escaped(label.en)}: {escaped(value.en)}" for label, value in ratios(report)]
    if report.venn:
        venn = report.venn
        notes.append(
            f"- Facts known on most wordings: both {venn.both}, only RAG {venn.only_rag}, only tuned {venn.only_tuned},"
            f" neither {venn.neither}"
        )
    for arm in report.gaps:
        if arm.gap and arm.trained:
            gap = f"{points(arm.gap.value)} points {points_range(arm.gap)}"
            notes.append(
                f"- {escaped(named(ARMS, arm.arm).en)}, trained wordings: {percent(arm.trained.value)}, gap {gap}"
            )
    return "\n".join(notes)


def _rings_section(report: Report) -> list[str]:
    rows = [
        (
            named(RINGS, ring.name).en,
            ring.probes,
            percent(ring.base.value),
            percent(ring.tuned.value),
            points(ring.difference.value),
            points_range(ring.difference),
            p_value(ring.p),
            p_value(ring.p_adjusted),
        )
        for ring in report.rings
    ]
    header = ("ability", "questions", "base", "tuned", "difference", "95% interval", "p", "p adjusted")
    return ["## What tuning cost", grid(header, rows)] if rows else []


def _untaught_section(report: Report) -> list[str]:
    """What the tuned model answers about facts that no question taught, and what is left of what the base had right."""
    header = ("ring", "answers", "base", "tuned", "difference", "95% interval", "p", "p adjusted")
    meaning = (
        f"- {escaped(UNTAUGHT[one.ring].en)}: {escaped(text.en)} {escaped(text.zh)}"
        for one in report.untaught
        for text in [untaught_text.MEANING[one.ring]]
    )
    parts = [f"## {untaught_text.TITLE.en}", grid(header, untaught_text.rows(report)), "\n".join(meaning)]
    left = [(label.en, said.en) for label, said in untaught_text.kept_rows(report)]
    return [
        *(parts if report.untaught else []),
        *([f"## {untaught_text.KEPT.en}", grid(("questions", "right"), left)] if left else []),
    ]


def _panel_section(title: Text, rows: Sequence[tuple[Text, Text]]) -> list[str]:
    return [f"## {title.en}", grid(("what", "value"), [(label.en, one.en) for label, one in rows])] if rows else []


def _apart_section(report: Report) -> list[str]:
    """What is measured apart, and what each kind of it means in both languages."""
    if not report.apart:
        return []
    arms = report.apart_arms
    rows = [
        (named(KINDS, one.kind).en, one.facts, *(_cell(one.correct.get(arm)) for arm in arms), _gain(one))
        for one in report.apart
    ]
    header = ("kind", "facts", *(escaped(named(ARMS, arm).en) for arm in arms), "tuned - base")
    said = (
        f"- {named(KINDS, one.kind).en}: {escaped(APART[one.kind].en)} {escaped(APART[one.kind].zh)}"
        for one in report.apart
    )
    return ["## Measured apart", grid(header, rows), "\n".join(said)]


def _gain(one: Apart) -> str:
    found = one.gain
    return (
        f"{points(found.difference.value)} {points_range(found.difference)} {p_value(found.p_adjusted)}"
        if found
        else ""
    )


def _slice_section(report: Report, dimension: str) -> list[str]:
    chosen: list[Slice] = [one for one in report.slices if one.dimension == dimension]
    if not chosen:
        return []
    arms = list(chosen[0].correct)
    rows = [(one.name or "(none)", one.facts, *(_sliced(one, arm) for arm in arms)) for one in chosen]
    header = (DIMENSIONS[dimension].en.lower(), "facts", *(escaped(named(ARMS, arm).en) for arm in arms))
    notes = [SLICES] if any(one.stands_out(arm) for one in chosen for arm in arms) else []
    notes += [SHRUNKEN] if chosen[0].shrunken else []
    lead = " ".join(f"{escaped(note.en)} {escaped(note.zh)}" for note in notes)
    return [f"## By {DIMENSIONS[dimension].en.lower()}", lead, grid(header, rows)]


def _sliced(one: Slice, arm: str) -> str:
    """The share, of a document the shrunken one and then its own; an asterisk where it stands out."""
    own, drawn = one.correct[arm], one.shrunken.get(arm)
    if not own:
        return ""
    text = f"{_cell(drawn)} ({percent(own.value)})" if drawn else _cell(own)
    return f"{text} *" if one.stands_out(arm) else text


def _cell(interval: Interval | None) -> str:
    return f"{percent(interval.value)} {percent_range(interval)}" if interval else ""


def _facts_section(report: Report) -> list[str]:
    """Facts that one of RAG and tuned knows and the other does not: what to train, and what to leave to retrieval."""
    parts: list[str] = []
    for title, group in (("only RAG knows", "only_rag"), ("only the tuned model knows", "only_tuned")):
        rows = [row for row in report.fact_rows if row.known_by == group]
        if rows:
            shown = [(row.fact_id, row.statement, row.gold, row.document) for row in rows[:LISTED]]
            parts += [f"## Facts that {title}{_more(rows)}", grid(("fact", "statement", "answer", "document"), shown)]
    return parts


def _findings_section(report: Report) -> list[str]:
    """What there is to be done, and the facts that it is to be done about."""
    if not report.findings:
        return []
    counts = [
        (named(FINDINGS, one.name).en, one.facts, one.first, f"{CURES[one.name].en} {CURES[one.name].zh}")
        for one in report.findings
    ]
    header = ("finding", "facts", "first", "what to do")
    parts = ["## What to do about each fact", grid(header, counts), escaped(CURED.en)]
    rows = [row for row in in_order(report.fact_rows) if row.to_act_on]
    shown = [
        (row.fact_id, row.statement, row.gold, ", ".join(named(FINDINGS, name).en for name in row.findings))
        for row in rows[:LISTED]
    ]
    facts = grid(("fact", "statement", "answer", "findings"), shown)
    return [*parts, f"## Facts to act on{_more(rows)}", facts] if rows else parts


def _more(rows: Sequence[FactRow]) -> str:
    return f" (the first {LISTED} of {len(rows)})" if len(rows) > LISTED else ""
