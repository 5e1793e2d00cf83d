"""What is told as pairs of a label and a figure (reading, cost, the hybrid, how far the model moved), in every form,
and what a difference is over documents.

The terminal, Markdown and the page show the same rows, so that no form has a figure that another lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from kb.evaluate.beside import Attribution, Benchmark, Cost, General, GoldShift, Hybrid, Regression
from kb.evaluate.markup import both, figures, say, section, signed, table, told
from kb.evaluate.results import Comparison, Report, Text
from kb.evaluate.stats import Interval
from kb.evaluate.wording import ARMS, KINDS, named, p_value, percent, percent_range, points, points_range, size

HYBRID = Text("By heart or from passages", "闭卷还是检索")
GENERAL = Text("How far the model moved", "模型变动了多少")

READING = Text("Where answers from passages are lost", "检索问答丢在哪里")
COST = Text("What it cost", "成本")
BENCHMARKS = Text("Public benchmarks", "公开基准")

Rows = list[tuple[Text, Text]]


def by_document(one: Comparison) -> str:
    """A difference with documents as clusters, its interval in points and its adjusted p; empty where there is none."""
    wide, p = one.by_document, one.p_by_document_adjusted
    return "" if wide is None or p is None else f"{points_range(wide)} {p_value(p)}"


def hybrid_rows(found: Hybrid | None) -> Rows:
    """Label and figure of each; nothing where there is no hybrid."""
    if found is None:
        return []
    rows = [
        (Text("answered by heart: retrievals saved", "闭卷作答（省下的检索）"), _share(found.coverage)),
        (Text("right of these", "其中答对"), _share(found.right)),
        (Text("held back, sure of neither", "两者都无把握而不答"), _share(found.held_back)),
        (
            Text("surer of a right answer than of a wrong one (AUROC)", "对正确答案比对错误答案更有把握（AUROC）"),
            _same("" if found.auroc is None else f"{found.auroc:.3f}"),
        ),
        (Text("headroom of a perfect router, points", "理想路由的提升空间（百分点）"), _gain(found.headroom)),
        (Text("of which two runs alike have, points", "其中两次同类训练之间也有的（百分点）"), _gain(found.control)),
    ]
    return [(label, figure) for label, figure in rows if figure.en]


def general_rows(found: General | None) -> Rows:
    """Label and figure of each; nothing where it was not measured."""
    if found is None:
        return []
    rows: Rows = []
    if found.kl is not None and found.agreement is not None:
        rows += [
            (Text("KL from the base, nats a token", "与原模型的 KL（奈特/Token）"), _same(f"{found.kl:.3f}")),
            (
                Text("the base's tokens it would still choose", "仍会选择的原模型 Token"),
                _same(percent(found.agreement)),
            ),
        ]
    return rows + [(_shift_label(one), _shift(one)) for one in found.shifts]


def reading_rows(found: Sequence[Attribution]) -> Rows:
    """Label and figure of each arm that reads what was retrieved."""
    rows = []
    for one in found:
        arm = named(ARMS, one.arm)
        rows += [
            (Text(f"{arm.en}: right passage among those shown", f"{arm.zh}：所示段落中有正确段落"), _share(one.found)),
            (Text(f"{arm.en}: right where it was", f"{arm.zh}：有时答对"), _share(one.right_found)),
            (Text(f"{arm.en}: right where it was not", f"{arm.zh}：没有时答对"), _share(one.right_missed)),
        ]
    return [(label, figure) for label, figure in rows if figure.en]


def cost_rows(found: Cost | None) -> Rows:
    """Label and figure of each; nothing without a run."""
    if found is None:
        return []
    written = (Text("writing the set", "生成题目"), _spent(found.written_tokens, found.written_seconds))
    if found.trained_tokens is None or found.trained_seconds is None:
        return [written]
    return [
        written,
        (Text("training", "训练"), _spent(found.trained_tokens, found.trained_seconds)),
        (Text("paid against RAG by tokens", "按 Token 计相对 RAG 回本"), _questions(found.paid_tokens)),
        (Text("paid against RAG by seconds", "按时间计相对 RAG 回本"), _questions(found.paid_seconds)),
    ]


def benchmark_rows(found: Sequence[Benchmark]) -> Rows:
    """Label and figure of each benchmark, and of the right choice where it has choices; "!" marks what was lost."""
    rows: Rows = []
    for one in found:
        least = size(one.detectable)
        label = Text(
            f"{one.name}, {one.items:,} questions (smallest detectable {least})",
            f"{one.name}，{one.items:,} 题（可检出的最小差异 {least}）",
        )
        change = f"{points(one.difference.value)} {points_range(one.difference)}{'!' if one.lost else ''}"
        shares = f"{percent(one.base.value)} -> {percent(one.tuned.value)}"
        rows.append((label, _same(f"{shares} {change} {p_value(one.p_adjusted)}")))
        if one.shift:
            choice = Text(f"{one.name}, right choice: log-probability", f"{one.name}，正确选项的对数概率")
            moved = _moved(one.shift)
            rows.append((choice, Text(f"{moved} nats", f"{moved} 奈特")))
    return rows


def benchmark_panel(report: Report) -> str:
    """The section of the page."""
    lead = Text(
        "Base -> tuned, the difference in points paired by question, with p adjusted for all benchmarks; ! marks what"
        " was lost. Asked by lm-evaluation-harness of the very base and adapter of this report: "
        + ", ".join(dict.fromkeys(one.run for one in report.benchmarks))
        + ".",
        "原模型 -> 微调，差异以百分点计，按题配对，p 值按全部基准校正；! 表示下降。"
        "由 lm-evaluation-harness 对本报告的同一原模型与适配器提问："
        + "、".join(dict.fromkeys(one.run for one in report.benchmarks))
        + "。",
    )
    return _panel("benchmarks", BENCHMARKS, lead, benchmark_rows(report.benchmarks))


def reading_panel(report: Report) -> str:
    """The section of the page."""
    lead = Text(
        "A question to which the right passage is not found is lost to the search; one that is answered wrong with it"
        " is lost to the reading.",
        "没有找到正确段落的问题丢在检索上；有正确段落而答错的丢在阅读上。",
    )
    return _panel("reading", READING, lead, reading_rows(report.attributions))


def cost_panel(report: Report) -> str:
    """The section of the page."""
    lead = Text(
        "Spent once, and after how many questions it has paid because they need no passages. A trained token counts as"
        " three of answering; seconds are of this machine, answers from the store keep those they took.",
        "一次性投入，以及因提问无需段落而回本的题数。训练一个 Token 按作答三个计；"
        "时间以本机为准，取自存储的回答按当时所用时间计。",
    )
    return _panel("cost", COST, lead, cost_rows(report.cost))


def _spent(tokens: int, seconds: float) -> Text:
    count, minutes = f"{tokens:,}", f"{seconds / 60:.1f}"
    return Text(f"{count} tokens, {minutes} minutes", f"{count} 个 Token，{minutes} 分钟")


def _questions(number: float | None) -> Text:
    if number is None:
        return Text("never: a question saves none", "不会回本：提问没有节省")
    return Text(f"after {number:,.0f} questions", f"{number:,.0f} 题之后")


def hybrid_panel(report: Report) -> str:
    """The section of the page."""
    lead = Text(
        "The tuned model answers by heart where it is sure of itself, else from passages, and not at all where it is"
        " sure of neither. How sure is enough was learnt on other facts than those it is used on.",
        "微调模型有把握时闭卷作答，否则检索；两者都无把握时不作答。把握的阈值是在其他事实上学到的。",
    )
    return _panel("hybrid", HYBRID, lead, hybrid_rows(report.hybrid))


def general_panel(report: Report) -> str:
    """The section of the page: the figures, and the right answers that lost most."""
    found = report.general
    if found is None:
        return ""
    lead = Text(
        f"Measured along the base's own answers to {found.prompts} general prompts ({found.tokens} tokens), and by the"
        " log-probability of right answers, nats an answer: it falls long before an answer changes.",
        f"沿原模型对 {found.prompts} 个一般提示的回答（{found.tokens} 个 Token）测量；"
        "并测量正确答案的对数概率（奈特/答案）：在答案改变之前它早已下降。",
    )
    header = (say("Question", "问题"), say("Right answer", "正确答案"), say("Base", "原模型"), say("Tuned", "微调"))
    worst = table(header, (_worst_cells(one) for one in found.worst), "regressions") if found.worst else ""
    more = f'<p class="note">{say("What lost most", "下降最多的")}</p>{worst}' if worst else ""
    return _panel("general", GENERAL, lead, general_rows(found), more)


def _panel(name: str, title: Text, lead: Text, rows: Rows, more: str = "") -> str:
    if not rows:
        return ""
    shown = "".join(f"<div><dt>{both(label)}</dt><dd>{figures(figure)}</dd></div>" for label, figure in rows)
    return section(name, title, lead, f'<dl class="provenance">{shown}</dl>{more}')


def _worst_cells(one: Regression) -> tuple[str, ...]:
    return told(one.question), told(one.gold), signed(_nats(one.base)), signed(_nats(one.tuned))


def _same(figure: str) -> Text:
    """A figure that both languages write alike."""
    return Text(figure, figure)


def _share(interval: Interval | None) -> Text:
    return _same(f"{percent(interval.value)} {percent_range(interval)}" if interval else "")


def _gain(interval: Interval | None) -> Text:
    return _same(f"{points(interval.value)} {points_range(interval)}" if interval else "")


def _shift_label(one: GoldShift) -> Text:
    kind = named(KINDS, one.kind)
    return Text(f"right answers, {kind.en}: log-probability", f"正确答案的对数概率（{kind.zh}）")


def _shift(one: GoldShift) -> Text:
    levels, moved = f"{_nats(one.base)} -> {_nats(one.tuned)}", _moved(one.change) if one.change else ""
    return Text(
        f"{levels}{moved and f', {moved}'} nats ({one.probes})",
        f"{levels}{moved and f'，{moved}'} 奈特（{one.probes} 题）",
    )


def _moved(change: Interval) -> str:
    """A difference of log-probabilities with its interval."""
    return f"{_nats(change.value, '+')} [{_nats(change.low, '+')}, {_nats(change.high, '+')}]"


def _nats(value: float, sign: Literal["", "+"] = "") -> str:
    """Two decimals; what rounds to zero has no sign."""
    text = f"{value:{sign}.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text
