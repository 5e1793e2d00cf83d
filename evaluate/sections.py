"""The sections of the page as HTML: every label in both languages, every number beside its chart."""

from __future__ import annotations

from collections.abc import Sequence

from kb.evaluate import charts, details, panels, untaught_text, wording
from kb.evaluate.beside import Ring
from kb.evaluate.markup import both, change, escape, figures, say, section, signed, spans, table, value
from kb.evaluate.results import KNOWN_BY, ArmSummary, Comparison, FactRow, Report, Text
from kb.evaluate.wording import named, p_value, percent, points_range, ratios, size

BY_DOCUMENT = say("by document", "按文档")


def sections(report: Report) -> str:
    """The body of the page, from the verdict to the provenance; a section without anything to show is left out."""
    parts = [_arms(report), _differences(report), _facts(report), details.wordings(report), _gaps(report)]
    parts += [_rings(report), untaught_text.panel(report), panels.general_panel(report)]
    parts += [panels.benchmark_panel(report), panels.hybrid_panel(report)]
    parts += [panels.reading_panel(report), panels.cost_panel(report)]
    parts += [details.findings(report), details.apart(report), details.slices(report)]
    parts += [details.dataset(report), details.audit(report)]
    # The list of all answers is as long as the evaluation was: nothing stands below it.
    parts += [details.provenance(report), details.methods(), details.browser()]
    return f"{_masthead()}<main>{_opening(report)}{''.join(part for part in parts if part)}</main>"


def heat_order(report: Report) -> list[list[FactRow]]:
    """The facts as the heat map shows them: known by both, only RAG, only tuned, neither, then those not asked of both.

    Without one of the two arms, one group. Within a group, the best known come first.
    """
    shown = [arm.arm for arm in report.arms]

    def rank(row: FactRow) -> tuple[float, ...]:
        shares = [row.shares.get(arm) or 0.0 for arm in shown]
        return -sum(shares), *(-share for share in shares)

    groups: dict[str, list[FactRow]] = {name: [] for name in (*KNOWN_BY, "")}
    for row in sorted(report.fact_rows, key=rank):
        groups[row.known_by].append(row)
    return [group for group in groups.values() if group]


def _masthead() -> str:
    return (
        f'<header class="masthead"><span class="brand">kb</span><span>{say("Retention report", "知识保留报告")}</span>'
        '<div class="toggle" role="group" aria-label="Language / 语言"><button type="button"'
        ' data-lang="en">English</button><button type="button" data-lang="zh" lang="zh-CN">中文</button></div></header>'
    )


def _opening(report: Report) -> str:
    wordings = f"{report.probes / report.facts:.3g}" if report.facts else "0"
    facts = [
        escape(report.name),
        say(f"{report.facts} facts × {wordings} held-out wordings", f"{report.facts} 个事实 × {wordings} 种留出问法"),
        *(f"{both(named(wording.LANGUAGES, name))} {100 * share:.0f}%" for name, share in report.languages.items()),
        say(f"seed {report.seed}", f"种子 {report.seed}"),
        escape(report.created[:16].replace("T", " ")),
    ]
    remarks = "".join(f"<p>{figures(text)}</p>" for text in report.remarks)
    warned = "".join(f"<li>{figures(text)}</li>" for text in report.warnings)
    warned = f'<ul class="warnings">{warned}</ul>' if warned else ""
    doubtful = not all(check.ok for check in report.checks)
    return (
        f'<section class="opening" aria-labelledby="verdict"><p class="meta">{spans(facts)}</p>'
        f"{warned if doubtful else ''}"
        f'<h1 id="verdict">{both(report.verdict)}</h1>{remarks}'
        f'<p class="next"><b>{say("Next", "下一步")}</b> {both(report.next_step)}</p>'
        f"{'' if doubtful else warned}</section>"
    )


def _arms(report: Report) -> str:
    if not report.arms:
        return ""
    header = (
        say("Arm", "组"),
        say("Right", "答对"),
        "",
        say("All wordings", "全部问法"),
        say("Wrong", "错误"),
        say("Abstained", "拒答"),
        say("Unparsed", "无法解析"),
        say("Near misses declined", "陷阱题拒答"),
        say("Unanswerable declined", "无答案题拒答"),
        say("Tokens", "Token"),
        say("Seconds", "秒"),
    )
    lead = Text(
        "Share of held-out wordings answered right, out of 100%, with its 95% interval. Every fact weighs the same."
        " Tokens and seconds are per question.",
        "留出问法的答对比例（满格为 100%）与 95% 区间。每个事实权重相同。Token 与秒均为每题平均。",
    )
    content = table(header, (_arm_row(arm) for arm in report.arms), "arms")
    return section("arms", Text("What each arm knows", "各组掌握了多少"), lead, content)


def _arm_row(arm: ArmSummary) -> tuple[str, ...]:
    return (
        both(named(wording.ARMS, arm.arm)),
        value(arm.correct),
        charts.interval_bar(arm.correct),
        value(arm.all_right),
        percent(arm.wrong),
        percent(arm.abstained),
        percent(arm.unparsed),
        value(arm.near_miss),
        value(arm.unanswerable),
        f"{arm.tokens:,.0f}",
        f"{arm.seconds:.2f}",
    )


def _differences(report: Report) -> str:
    """Two plots, each with an axis of its own: what is over the base is far larger than what separates the others."""
    plots = [[one for one in report.comparisons if (one.against == "base") == base] for base in (False, True)]
    content = "".join(_forest(plot) for plot in plots if plot)
    notes = (Text(f"{label.en}: {value.en}", f"{label.zh}：{value.zh}") for label, value in ratios(report))
    said = "".join(f'<span class="line">{figures(note)}</span>' for note in notes)
    content += f'<p class="note">{said}</p>' if said else ""
    lead = Text(
        "In percentage points, on the same facts. Inside the grey band lie true differences that this many facts would"
        " miss more often than one time in five.",
        "单位为百分点，两组使用相同的事实。灰带内的真实差异，在这么多事实下有超过五分之一的可能检不出来。",
    )
    return section("differences", Text("Differences between arms", "组间差异"), lead, content) if content else ""


def _forest(plot: Sequence[Comparison]) -> str:
    reach = max(one.detectable for one in plot)
    axis = charts.difference_axis([one.difference for one in plot], reach)
    rows = (
        (
            f"{both(named(wording.ARMS, one.arm))} − {both(named(wording.ARMS, one.against))}",
            charts.forest_row(one.difference, one.detectable, axis),
            change(one.difference) + _by_document(one),
            _tests(one),
            size(one.detectable),
        )
        for one in plot
    )
    header = (
        say("Arms", "组"),
        charts.axis_row(axis),
        say("Difference", "差异"),
        say("p, adjusted", "p 值（校正）"),
        say("Detectable", "可检出"),
    )
    return table(header, rows, "forest")


def _by_document(one: Comparison) -> str:
    """The interval of the difference with documents as clusters, on a line of its own."""
    if not one.by_document:
        return ""
    return (
        f'<small class="line">{BY_DOCUMENT} <span class="value">{signed(points_range(one.by_document))}</span></small>'
    )


def _tests(one: Comparison | Ring) -> str:
    """The adjusted p, and below it the raw one and the adjusted one with documents as clusters."""
    lines = [f"{say('alone', '单独')} {p_value(one.p)}"]
    if isinstance(one, Comparison) and one.p_by_document_adjusted is not None:
        lines.append(f"{BY_DOCUMENT} {p_value(one.p_by_document_adjusted)}")
    return p_value(one.p_adjusted) + "".join(f'<small class="line">{line}</small>' for line in lines)


def _facts(report: Report) -> str:
    groups = heat_order(report)
    if not groups:
        return ""
    ordered = [row for group in groups for row in group]
    shades = [[row.shares.get(arm.arm) for row in ordered] for arm in report.arms]
    labels = "".join(f"<span>{both(named(wording.ARMS, arm.arm))}</span>" for arm in report.arms)
    venn = ""
    if report.venn:
        names = (
            ("both know", "两者都掌握"),
            ("only RAG", "只有 RAG"),
            ("only tuned", "只有微调"),
            ("neither", "都未掌握"),
        )
        counts = (report.venn.both, report.venn.only_rag, report.venn.only_tuned, report.venn.neither)
        items = (f"<div><dd>{count}</dd><dt>{say(*name)}</dt></div>" for name, count in zip(names, counts, strict=True))
        venn = f'<dl class="venn">{"".join(items)}</dl>'
    lead = Text(
        "A column is a fact, a row an arm: the darker, the more of the fact's wordings were answered right.",
        "每列一个事实，每行一组：颜色越深，该事实答对的问法越多。",
    )
    if report.venn:
        lead = Text(
            f"{lead.en} The blocks from left to right: facts that RAG and the tuned model know (most wordings right),"
            " that only RAG knows, only the tuned model, neither.",
            f"{lead.zh}从左到右各块：RAG 与微调都掌握（多数问法答对）、只有 RAG 掌握、只有微调掌握、都未掌握。",
        )
    chart = charts.heat_map(shades, [len(group) for group in groups])
    figure = (
        f'<div class="heat-grid"><div class="heat-labels">{labels}</div>'
        f'<div class="heat-frame">{chart}<i id="cursor"></i></div>'
        f'<input type="range" id="fact" min="0" max="{len(ordered) - 1}" value="0" aria-label="Fact / 事实">'
        '<div id="fact-card" class="fact-card" aria-live="polite"></div></div>'
    )
    return section("facts", Text("Fact by fact", "逐个事实"), lead, venn + figure)


def _gaps(report: Report) -> str:
    rows = [
        (
            both(named(wording.ARMS, arm.arm)),
            charts.dumbbell(arm.correct.value, arm.trained.value),
            value(arm.trained),
            value(arm.correct),
            change(arm.gap),
        )
        for arm in report.gaps
        if arm.trained and arm.gap
    ]
    header = (
        say("Arm", "组"),
        "",
        say("Trained wording", "训练问法"),
        say("New wording", "新问法"),
        say("Gap", "差距"),
    )
    lead = Text(
        "Hollow: wordings never trained on; filled: wordings trained on. A gap is wording learned instead of fact.",
        "空心：从未训练过的问法；实心：训练过的问法。差距说明学到的是问法而不是事实。",
    )
    content = table(header, rows, "pairs")
    return section("gap", Text("Trained and new wordings", "训练问法与新问法"), lead, content) if rows else ""


def _rings(report: Report) -> str:
    rows = [
        (
            both(named(wording.RINGS, ring.name)) + _lost(ring),
            charts.dumbbell(ring.base.value, ring.tuned.value),
            value(ring.base),
            value(ring.tuned),
            change(ring.difference),
            _tests(ring),
            str(ring.probes),
        )
        for ring in report.rings
    ]
    header = (
        say("Ability", "能力"),
        "",
        say("Base", "原模型"),
        say("Tuned", "微调"),
        say("Difference", "差异"),
        say("p, adjusted", "p 值（校正）"),
        say("Questions", "题数"),
    )
    lead = Text(
        "What the base model could do, hollow, and what is left after tuning, filled. Without retrieved passages.",
        "空心：原模型的能力；实心：微调后所剩。均不使用检索段落。",
    )
    content = table(header, rows, "pairs")
    return section("rings", Text("What tuning cost", "微调的代价"), lead, content) if rows else ""


def _lost(ring: Ring) -> str:
    return f' <em class="flag">{say("lost", "下降")}</em>' if ring.lost else ""
