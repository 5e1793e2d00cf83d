"""The rings of facts that no question taught, as text: the same figures for terminal, Markdown and page."""

from __future__ import annotations

from collections.abc import Iterator

from kb.evaluate import charts, wording
from kb.evaluate.beside import Kept, Shift, Untaught
from kb.evaluate.markup import both, say, section, signed, table
from kb.evaluate.results import VERDICTS, Report, Text
from kb.evaluate.wording import named, p_value, percent, points, points_range

TITLE = Text("What was not taught, and is answered all the same", "没有教过、却仍然作答的")
KEPT = Text("Of what the base had right", "原模型答对的题")

MEANING = {
    "text_only": Text(
        "Facts of the trained documents that no trained question asks for. Texts that tell the documents in other words"
        " state them, and are trained unless [train] prose = false: what is right may come from there, what is wrong is"
        " made up.",
        "训练过的文档中没有训练问题问过的事实。改写文本写到它们，且除非 [train] prose = false 都会训练："
        "答对可能来自改写文本，答错则是编造。",
    ),
    "placebo": Text(
        "Facts of the same kinds, of documents that are never trained (placebo). Nothing told the tuned model: what it"
        " has right is guessed or was known before, and what it has wrong is made up.",
        "来自从不训练的文档的同类事实（安慰剂）。没有任何数据告诉过微调模型：答对是猜中或原已掌握，答错则是编造。",
    ),
    "known": Text(
        "Facts that have nothing to do with the documents and that the base may have known before.",
        "与文档无关、原模型训练前可能掌握的事实。",
    ),
}
"""What each ring is."""
SHOWN = ("correct", "wrong", "abstained")
"""The verdicts that are told; what is left of the whole could not be parsed."""


def lines(report: Report) -> list[str]:
    """For the terminal, 100 columns: every ring with what became of each verdict, an exclamation mark where more is
    made up or less is right, and what is left of what the base had right.
    """
    if not report.untaught:
        return _kept_lines(report)
    found = ["", f"{'untaught facts, base -> tuned':<74}{'p':<8}adjusted"]
    for ring in report.untaught:
        found.append(f"  {wording.UNTAUGHT[ring.ring].en}: {_size(ring).en}")
        for verdict, shift in _shifts(ring):
            mark = "  !" if _is_loss(verdict, shift) else ""
            span = f"{points(shift.difference.value):>7} {points_range(shift.difference):<16}"
            tests = f"{p_value(shift.p):<8}{p_value(shift.p_adjusted)}"
            found.append(f"    {wording.VERDICTS[verdict].en:<28}{_rates(shift):>16} {span}{tests}{mark}")
    return [*found, *_kept_lines(report)]


def _kept_lines(report: Report) -> list[str]:
    if not report.kept:
        return []
    return ["", KEPT.en.lower(), *(f"  {label.en:<30}{said.en}" for label, said in kept_rows(report))]


def rows(report: Report) -> list[tuple[str, ...]]:
    """For Markdown: ring, verdict, base, tuned, difference, its interval, p and adjusted p."""
    return [
        (
            f"{wording.UNTAUGHT[ring.ring].en} ({_size(ring).en})", wording.VERDICTS[verdict].en,
            percent(shift.base.value), percent(shift.tuned.value), points(shift.difference.value),
            points_range(shift.difference), p_value(shift.p), p_value(shift.p_adjusted),
        )
        for ring in report.untaught
        for verdict, shift in _shifts(ring)
    ]  # fmt: skip


def kept_rows(report: Report) -> list[tuple[Text, Text]]:
    """Kind of question, and what is left of what the base had right of it."""
    return [(named(wording.KINDS, one.kind), _left(one)) for one in report.kept]


def panel(report: Report) -> str:
    """The section of the page: the rings, and what is left of what the base had right."""
    left = "".join(f"<div><dt>{both(label)}</dt><dd>{both(said)}</dd></div>" for label, said in kept_rows(report))
    listed = f'<dl class="provenance">{left}</dl>' if left else ""
    if not report.untaught:
        lead = Text("By kind of question, of those that both models answered.", "按题型，只计两个模型都作答的题。")
        return section("untaught", KEPT, lead, listed) if listed else ""
    cells = [
        (
            _name(ring),
            f"{_bar(ring, 'base')}{_bar(ring, 'tuned')}",
            *(f"{_told(shift)}<small>{p_value(shift.p_adjusted)}</small>" for _, shift in _shifts(ring)),
        )
        for ring in report.untaught
    ]
    header = (say("Ring", "范围"), "", *(both(wording.VERDICTS[verdict]) for verdict in SHOWN))
    lead = Text(
        "Where the base knows nothing, it should decline. Upper bar: the base; lower bar: the tuned model, out of all"
        " answers. Then shares of base and tuned, the difference in points with its interval, and the adjusted p.",
        "原模型不知道的，理应拒答。上条为原模型，下条为微调模型，占全部回答的比例；"
        "其后为两者的比例、差异（百分点）与区间，以及校正后的 p 值。",
    )
    legend = "".join(f'<li class="{name}">{both(wording.VERDICTS[name])}</li>' for name in VERDICTS)
    shown = table(header, cells, "apart untaught")
    more = f'<p class="note">{both(KEPT)}</p>{listed}' if listed else ""
    return section("untaught", TITLE, lead, f'<ul class="legend">{legend}</ul>{shown}{more}')


def _shifts(ring: Untaught) -> Iterator[tuple[str, Shift]]:
    return ((verdict, getattr(ring, verdict)) for verdict in SHOWN)


def _is_loss(verdict: str, shift: Shift) -> bool:
    return shift.sign == {"correct": -1, "wrong": 1}.get(verdict, 2)


def _name(ring: Untaught) -> str:
    flag = f' <em class="flag">{say("makes up", "编造")}</em>' if ring.invents else ""
    meaning, asked = MEANING[ring.ring], _size(ring)
    said = Text(f"{meaning.en} {asked.en}.", f"{meaning.zh}{asked.zh}。")
    return f"{both(wording.UNTAUGHT[ring.ring])}{flag}<small>{both(said)}</small>"


def _size(ring: Untaught) -> Text:
    return Text(f"{ring.facts} facts, {ring.probes} questions", f"{ring.facts} 个事实，{ring.probes} 题")


def _left(one: Kept) -> Text:
    share = percent(one.kept / one.had)
    return Text(
        f"base {one.had} of {one.probes}; tuned kept {one.kept} ({share}) and gained {one.gained}",
        f"原模型 {one.had} / {one.probes}；微调后保留 {one.kept}（{share}），新增 {one.gained}",
    )


def _rates(shift: Shift) -> str:
    return f"{percent(shift.base.value)} -> {percent(shift.tuned.value):>6}"


def _told(shift: Shift) -> str:
    rates = f"{percent(shift.base.value)}\u00a0→\u00a0{percent(shift.tuned.value)}"
    told = f"{points(shift.difference.value)} {points_range(shift.difference)}"
    return f'<span class="value">{rates}</span><small>{signed(told)}</small>'


def _bar(ring: Untaught, arm: str) -> str:
    shares = [(verdict, float(getattr(shift, arm).value)) for verdict, shift in _shifts(ring)]
    rest = max(0.0, 1.0 - sum(share for _, share in shares))
    return charts.stacked_bar([*shares, ("unparsed", rest)])
