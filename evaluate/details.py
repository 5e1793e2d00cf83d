"""The sections for a second look: slices, the scorer, the answers, checks and provenance."""

from __future__ import annotations

from collections.abc import Sequence

from kb.evaluate import charts, training_set, wording
from kb.evaluate.markup import both, change, escape, say, section, table, told, value, wide
from kb.evaluate.names import provenance_name, rule_name
from kb.evaluate.results import VERDICTS, Report, Slice, Text
from kb.evaluate.wording import named, p_value, percent, percent_range

HOLDS, FAILED = Text("holds", "通过"), Text("failed", "未通过")
LISTED = 12
"""Slices of one dimension that are shown at once; the rest folds away."""
MOST = 200
"""Slices of one dimension that are on the page at all."""
FACTS = 50
"""Facts that are listed of each finding."""


def apart(report: Report) -> str:
    """What is measured apart, and how to read each kind of it."""
    rows = [
        (
            f"{both(named(wording.KINDS, one.kind))}<small>{both(wording.APART[one.kind])}</small>",
            str(one.facts),
            *(value(one.correct.get(arm)) for arm in report.apart_arms),
            f"{change(one.gain.difference)} <small>{p_value(one.gain.p_adjusted)}</small>" if one.gain else value(None),
        )
        for one in report.apart
    ]
    header = (
        say("Kind", "类别"),
        say("Facts", "事实"),
        *(_head(arm) for arm in report.apart_arms),
        f"{both(wording.ARMS['tuned'])} − {both(wording.ARMS['base'])}",
    )
    lead = Text(
        "Share right with its 95% interval, of questions that are no part of the figures above: about facts that no"
        " question taught, or asked in another way than the held-out wordings are.",
        "答对比例与 95% 区间。这些题目不计入上面的数字：所问的事实没有用问题训练过，或者提问方式与留出问法不同。",
    )
    title = Text("Measured apart", "另行测量")
    content = wide(len(report.apart_arms) + 1, table(header, rows, "apart"), title)
    return section("apart", title, lead, content) if rows else ""


def findings(report: Report) -> str:
    """What is to be done about how many facts, and which they are."""
    rows = [
        (
            f"{both(named(wording.FINDINGS, one.name))}<small>{both(wording.CURES[one.name])}</small>",
            str(one.facts),
            str(one.first),
        )
        for one in report.findings
    ]
    header = (say("Finding", "诊断"), say("Facts", "事实"), say("First", "首要"))
    lead = Text(
        "What the answers of all arms together say of each fact. First: facts of which nothing else is to be seen to"
        f" before. {wording.CURED.en}",
        f"综合各组回答，对每个事实的诊断。首要：没有其他问题需要先处理的事实。{wording.CURED.zh}",
    )
    content = table(header, rows, "findings") + "".join(
        _found(report, one.name) for one in report.findings if one.name != "learnt"
    )
    return section("findings", Text("What to do", "该做什么"), lead, content) if rows else ""


def _found(report: Report, finding: str) -> str:
    """The facts with a finding, folded away."""
    rows = [row for row in report.fact_rows if finding in row.findings]
    items = [f"<li>{told(row.statement or row.gold)} <small>{escape(row.fact_id)}</small></li>" for row in rows]
    more = len(rows) - FACTS
    rest = f"<li>{say(f'{more} more in report.json', f'其余 {more} 个见 report.json')}</li>" if more > 0 else ""
    summary = f"{both(named(wording.FINDINGS, finding))}: {len(rows)}"
    return f'<details class="which"><summary>{summary}</summary><ul>{"".join(items[:FACTS])}{rest}</ul></details>'


def slices(report: Report) -> str:
    """Every slice that says something; of long lists, the first lines."""
    blocks = []
    for dimension, title in wording.DIMENSIONS.items():
        chosen = [one for one in report.slices if one.dimension == dimension]
        if chosen:
            blocks.append(_slice_table(title, chosen[:LISTED], report))
        if len(chosen) > LISTED:
            more = say(f"{len(chosen) - LISTED} more", f"其余 {len(chosen) - LISTED} 项")
            rest = _slice_table(title, chosen[LISTED:MOST], report)
            left = len(chosen) - MOST
            note = say(f"{left} more in report.json", f"其余 {left} 项见 report.json") if left > 0 else ""
            blocks.append(f"<details><summary>{more}</summary>{rest}<p>{note}</p></details>")
    lead = Text(f"Share right with its 95% interval. {wording.SLICES.en}", f"答对比例与 95% 区间。{wording.SLICES.zh}")
    if any(one.shrunken for one in report.slices):
        lead = Text(f"{lead.en} {wording.SHRUNKEN.en}", f"{lead.zh}{wording.SHRUNKEN.zh}")
    return section("slices", Text("Slices", "分组"), lead, "".join(blocks)) if blocks else ""


def _slice_table(title: Text, chosen: Sequence[Slice], report: Report) -> str:
    names = wording.LANGUAGES | wording.TYPES | wording.LEVELS if chosen[0].dimension != "document" else {}
    header = (both(title), say("Facts", "事实"), *(_head(arm.arm) for arm in report.arms))
    rows = []
    for one in chosen:
        name = both(named(names, one.name)) if one.name else say("(none)", "（无）")
        rows.append((name, str(one.facts), *(_sliced(one, arm.arm) for arm in report.arms)))
    return wide(len(report.arms), table(header, rows, "slices", both(title)), title)


def _head(arm: str) -> str:
    """The name of an arm over a narrow column, broken where two names are joined rather than in a word."""
    return both(named(wording.ARMS, arm)).replace("+", "+<wbr>")


def _sliced(one: Slice, arm: str) -> str:
    """The share, of a document the shrunken one and then its own; an asterisk where it stands out."""
    own, drawn = one.correct.get(arm), one.shrunken.get(arm)
    mark = "<b>*</b> " if one.stands_out(arm) else ""
    counted = f" <small>({percent(own.value)})</small>" if own and drawn else ""
    return f"{mark}{value(drawn or own)}{counted}"


def wordings(report: Report) -> str:
    """How much hangs on the wording, and on the document."""
    if not any(arm.same_verdict or arm.by_document for arm in report.arms):
        return ""
    documents = any(arm.by_document for arm in report.arms)
    rows = [
        (
            both(named(wording.ARMS, arm.arm)),
            *(value(one) for one in (arm.all_right, arm.worst_wrong, arm.same_verdict, arm.same_answer)),
            *([percent_range(arm.by_document) if arm.by_document else value(None)] if documents else []),
        )
        for arm in report.arms
    ]
    header = (
        say("Arm", "组"),
        say("All wordings right", "全部问法答对"),
        say("Worst wording wrong", "最差问法答错"),
        say("Same verdict", "判定一致"),
        say("Same answer", "答案一致"),
        *([say("Right, by document", "答对，按文档")] if documents else []),
    )
    lead = Text(
        "Of the facts: those right under every wording, and those that some wording gets a wrong answer for. Of the"
        " pairs of a fact's wordings: those with the same verdict, and those answered the same, right or wrong.",
        "事实中：每种问法都答对的，以及有问法答错的。同一事实的问法两两比较：判定相同的，以及答案相同的（不论对错）。",
    )
    if documents:
        lead = Text(
            f"{lead.en} By document: the interval of the share right if whole documents had been drawn.",
            f"{lead.zh}按文档：以整篇文档为抽样单位时答对比例的区间。",
        )
    return section("wordings", Text("From wording to wording", "不同问法之间"), lead, table(header, rows, "wordings"))


def dataset(report: Report) -> str:
    """What is known of the set that was trained on and asked."""
    said = training_set.rows(report.training_set)
    rows = "".join(f"<div><dt>{both(label)}</dt><dd>{both(text)}</dd></div>" for label, text in said)
    lead = Text(
        "What was made of the documents: how much of them is asked about, and whether it says what they say.",
        "由文档生成的题目：覆盖了多少内容，是否与原文一致。",
    )
    content = f'<dl class="provenance">{rows}</dl>'
    return section("set", Text("The questions", "题目"), lead, content) if rows else ""


def audit(report: Report) -> str:
    """How often each rule of the scorer decided, and what."""
    if not report.audit:
        return ""
    total = sum(rule.total for rule in report.audit)
    most = max(rule.total for rule in report.audit)
    rows = (
        (
            _rule(rule.rule),
            f"{rule.total:,}",
            percent(rule.total / total),
            charts.stacked_bar([(name, float(getattr(rule, name))) for name in VERDICTS], most),
        )
        for rule in report.audit
    )
    legend = "".join(f'<li class="{name}">{both(wording.VERDICTS[name])}</li>' for name in VERDICTS)
    header = (say("Rule", "规则"), say("Verdicts", "判定"), say("Share", "占比"), "")
    lead = Text(
        "Which rule of the scorer decided, over all arms and kinds of question.",
        "各条评分规则作出的判定，涵盖所有组与题型。",
    )
    content = f'<ul class="legend">{legend}</ul>' + table(header, rows, "audit")
    content += f'<p class="note">{both(wording.judge_said(report.judging))}</p>' if report.judging else ""
    content += _overlaps(report)
    return section("scorer", Text("How answers were scored", "评分依据"), lead, content)


def _rule(rule: str) -> str:
    """The name of a rule, on a Chinese page with that of answers.jsonl below it."""
    name = rule_name(rule)
    return both(name) if name.en == name.zh else f'{both(name)} <small class="zh" lang="en">{escape(rule)}</small>'


def _overlaps(report: Report) -> str:
    rows = (
        (both(named(wording.ARMS, one.arm)), *(percent(share) for share in (one.exact, one.f1, one.rouge_l)))
        for one in report.overlaps
    )
    header = (say("Arm", "组"), say("Exact match", "完全匹配"), say("F1", "F1"), "ROUGE-L")
    note = say(
        "How much of the right answer the held-out answers repeat, Chinese by character and English by word. These"
        " decide nothing: they hardly tell 30 million from 50 million.",
        "留出问法的回答与标准答案的重合程度，中文按字，英文按词。不用于判定：它们几乎分不清 3000 万与 5000 万。",
    )
    return f'<p class="note">{note}</p>{table(header, rows, "overlap")}' if report.overlaps else ""


def browser() -> str:
    """The frame of the answers, which the script fills."""
    lead = Text(
        "Search questions, answers and ids. A question opens with what was read for each answer: the whole prompt and"
        " its passages.",
        "搜索问题、答案和编号。点开问题可看每个回答所依据的全部提示和段落。",
    )
    controls = (
        '<form id="filters" role="search"><input type="search" id="query" autocomplete="off"><select id="arm"></select>'
        '<select id="verdict-filter"></select><select id="kind"></select><select id="outcome"></select></form>'
        '<p class="count"><span id="count" aria-live="polite"></span>'
        '<button type="button" id="clear" hidden></button></p><div id="list"></div>'
        '<dialog id="sample" aria-labelledby="asked"><div class="bar"><button type="button" id="previous"></button>'
        '<button type="button" id="next" autofocus></button><span id="place"></span>'
        '<button type="button" id="close"></button></div><div id="sheet"></div></dialog>'
    )
    return section("answers", Text("Answers", "答案"), lead, controls)


def provenance(report: Report) -> str:
    """Checks, and where everything came from."""
    checks = "".join(
        f'<li class="{"ok" if check.ok else "failed"}"><b>{both(HOLDS if check.ok else FAILED)}</b>'
        f"<span>{both(check.named())}<small>{both(check.told())}</small></span></li>"
        for check in report.checks
    )
    rows = "".join(
        f"<div><dt>{both(provenance_name(key))}</dt><dd>{escape(value)}</dd></div>"
        for key, value in report.provenance.items()
    )
    content = f'<ul class="checks">{checks}</ul>' if checks else ""
    content += f'<dl class="provenance">{rows}</dl>' if rows else ""
    lead = Text(
        "What must hold for the figures to mean anything, and what they were made from.",
        "数字成立的前提，以及它们的来源。",
    )
    return section("provenance", Text("Checks and provenance", "检查与来源"), lead, content) if content else ""


def methods() -> str:
    """How the figures were computed, in two sentences."""
    said = say(
        "Shares and differences: Wilson intervals with facts as clusters; ratios: MOVER. p: sign flips over facts,"
        " two-sided; adjusted by Holm's method for all that are read together.",
        "比例与差异：以事实为整群的 Wilson 区间；比值：MOVER。p 值：按事实翻转符号，双侧；"
        "同时阅读的各项按 Holm 方法校正。",
    )
    return f'<p class="methods">{said}</p>'
