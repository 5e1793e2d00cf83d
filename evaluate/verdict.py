"""The report in plain words: which arm is better, what tuning cost, what to be careful with, what to do next.

Two arms are called different only where the paired interval excludes zero and the sign-flip test agrees. Its p
value is the one adjusted for all comparisons of the report, here and in the sentences. Otherwise the sentence is "no
difference detected", with the number of facts and the smallest difference they could have shown: never "the same".
"""

from __future__ import annotations

import re
from dataclasses import replace

from kb.evaluate.caveats import FEW_FACTS, warnings
from kb.evaluate.results import Comparison, Report, Text
from kb.evaluate.wording import CURED_BY_ROWS, NAMES, RINGS, UNTAUGHT, named, p_value, percent, points, sentence, size

WIDE_GAP = 0.10
"""A trained-versus-held-out gap worth acting on."""
RETRIEVAL_LOSS = 0.05
"""How far RAG may stay behind the oracle passage before retrieval is the thing to work on."""
MORE = "kb generate-qa --for-failures, then kb train"
CONTROLS = ("oracle", "tuned_oracle", "wrong", "tuned_wrong")
"""Arms that nobody can use: they are shown passages which only the evaluation knows to be right or wrong."""


def judged(report: Report) -> Report:
    """The report with its verdict, remarks, next step and warnings filled in."""
    return replace(
        report,
        verdict=_spaced(verdict(report)),
        remarks=tuple(_spaced(text) for text in remarks(report)),
        next_step=_spaced(next_step(report)),
        warnings=tuple(warnings(report)),
    )


def verdict(report: Report) -> Text:
    """The main comparison: tuned against RAG, or the best that the evaluated arms allow."""
    if not report.arms:
        return Text(
            "Nothing was measured: no held-out wording has an answer.", "没有测到任何结果：留出问法都没有答案。"
        )
    pairs = (("tuned", "rag"), ("tuned", "base"), ("rag", "base"))
    found = next((one for pair in pairs if (one := report.comparison(*pair))), None)
    if found:
        return _different(report, found) if found.sign else _undetected(report, found)
    arm = report.arms[0]
    name, share = named(NAMES, arm.arm), percent(arm.correct.value)
    return Text(
        f"{sentence(name.en)} answers {share} of the held-out questions right; there is nothing to compare it with.",
        f"{name.zh}答对了 {share} 的留出问题；没有可以比较的对象。",
    )


def remarks(report: Report) -> list[Text]:
    """What was not learned, tuned+RAG against the better of its parts, DPO against SFT alone, what tuning cost, and
    what is made up now: what applies.
    """
    found = (_unlearned(report), _combined(report), _sharpened(report), _losses(report), _inventions(report))
    return [text for text in found if text]


def _different(report: Report, found: Comparison) -> Text:
    first, second = (found.arm, found.against) if found.sign > 0 else (found.against, found.arm)
    better, worse = named(NAMES, first), named(NAMES, second)
    high, low = _share(report, first), _share(report, second)
    least, most = sorted((abs(found.difference.low), abs(found.difference.high)))
    more, span, p = size(found.difference.value), (size(least), size(most)), p_value(found.p_adjusted)
    return Text(
        f"{sentence(better.en)} answers {high} of the held-out questions right, {worse.en} {low}: {more} points more"
        f" (95% interval {span[0]} to {span[1]}, {p}, {found.facts} facts).",
        f"{better.zh}答对了 {high} 的留出问题，{worse.zh}答对 {low}：高出 {more} 个百分点"
        f"（95% 区间 {span[0]} 至 {span[1]}，{p}，{found.facts} 个事实）。",
    )


def _undetected(report: Report, found: Comparison) -> Text:
    one, other, least = named(NAMES, found.arm), named(NAMES, found.against), size(found.detectable)
    shares = _share(report, found.arm), _share(report, found.against)
    return Text(
        f"No difference detected between {one.en} ({shares[0]}) and {other.en} ({shares[1]}) at n = {found.facts}"
        f" facts; the smallest detectable difference is {least} points.",
        f"在 n = {found.facts} 个事实上未检出{one.zh}（{shares[0]}）与{other.zh}（{shares[1]}）的差异；"
        f"可检出的最小差异为 {least} 个百分点。",
    )


def _unlearned(report: Report) -> Text | None:
    """Said where the tuned model is compared with RAG and turns out no better than the base."""
    gain = report.comparison("tuned", "base")
    if not gain or gain.sign > 0 or not report.comparison("tuned", "rag"):
        return None
    least, change = size(gain.detectable), points(gain.difference.value)
    return Text(
        f"Tuning taught nothing that can be detected: {change} points against the base (smallest detectable {least}).",
        f"未检出微调的收益：与原模型相差 {change} 个百分点（可检出的最小差异为 {least}）。",
    )


def _combined(report: Report) -> Text | None:
    """Tuned+RAG against the better of RAG and tuned, by their point estimates."""
    rag, tuned = report.arm("rag"), report.arm("tuned")
    if not rag or not tuned:
        return None
    rival = "rag" if rag.correct.value >= tuned.correct.value else "tuned"
    found = report.comparison("tuned_rag", rival)
    if not found:
        return None
    share, amount = _share(report, "tuned_rag"), size(found.difference.value)
    other, p, least = named(NAMES, rival), p_value(found.p_adjusted), size(found.detectable)
    if found.sign > 0:
        return Text(
            f"Tuned+RAG reaches {share}, {amount} points over {other.en} alone ({p}).",
            f"微调+RAG 达到 {share}，比单用{other.zh}高 {amount} 个百分点（{p}）。",
        )
    if found.sign < 0:
        return Text(
            f"Tuned+RAG stays at {share}, {amount} points below {other.en} alone ({p}).",
            f"微调+RAG 只有 {share}，比单用{other.zh}低 {amount} 个百分点（{p}）。",
        )
    return Text(
        f"Tuned+RAG ({share}): no difference to {other.en} alone detected (smallest detectable {least}).",
        f"微调+RAG（{share}）与单用{other.zh}相比未检出差异（可检出的最小差异为 {least}）。",
    )


def _sharpened(report: Report) -> Text | None:
    """What DPO, or what else followed, added to SFT, whatever that is."""
    found = report.comparison("tuned", "sft")
    if not found:
        return None
    before, after, amount = _share(report, "sft"), _share(report, "tuned"), size(found.difference.value)
    method = report.provenance.get("sharpened by", "DPO")
    if not found.sign:
        least = size(found.detectable)
        return Text(
            f"{method} after SFT: {before} → {after}, no difference detected (smallest detectable {least}).",
            f"SFT 之后的 {method}：{before} → {after}，未检出差异（可检出的最小差异为 {least}）。",
        )
    did = Text("gained", "提高") if found.sign > 0 else Text("lost", "降低")
    return Text(
        f"{method} after SFT {did.en} {amount} points: {before} → {after} ({p_value(found.p_adjusted)}).",
        f"SFT 之后的 {method} {did.zh}了 {amount} 个百分点：{before} → {after}（{p_value(found.p_adjusted)}）。",
    )


def _losses(report: Report) -> Text | None:
    """What tuning cost, ring by ring."""
    lost = [
        (named(RINGS, ring.name), percent(ring.base.value), percent(ring.tuned.value))
        for ring in report.rings
        if ring.lost
    ]
    if not lost:
        return None
    return Text(
        f"Tuning cost: {'; '.join(f'{name.en} {before} → {after}' for name, before, after in lost)}.",
        f"微调的代价：{'；'.join(f'{name.zh} {before} → {after}' for name, before, after in lost)}。",
    )


def _inventions(report: Report) -> Text | None:
    """Said where the tuned model answers wrong what no question taught it and the base declined."""
    rings = [
        (
            UNTAUGHT[one.ring],
            f"{percent(one.wrong.base.value)} → {percent(one.wrong.tuned.value)}",
            one.wrong.p_adjusted,
        )
        for one in report.untaught
        if one.invents
    ]
    if not rings:
        return None
    english = "; ".join(f"{name.en} {rates} ({p_value(p)})" for name, rates, p in rings)
    chinese = "；".join(f"{name.zh} {rates}（{p_value(p)}）" for name, rates, p in rings)
    return Text(
        f"The tuned model makes up more where no question taught it, wrong answers: {english}.",
        f"在没有训练问题教过的事实上，微调模型编造更多，答错的比例：{chinese}。",
    )


def next_step(report: Report) -> Text:
    """What to do about it: the first thing that stands in the way of a better or more certain result."""
    if not report.arms:
        return Text(
            "Make held-out wordings and ask them: kb generate-qa, then kb eval.",
            "生成留出问法并提问：kb generate-qa，然后 kb eval。",
        )
    steps = (_distrust(report), _train(report), _few(report), _retrain(report), _reword(report), _retain(report))
    return next((step for step in (*steps, _retrieve(report), _cure(report)) if step), _serve(report))


def _distrust(report: Report) -> Text | None:
    if all(check.ok for check in report.checks):
        return None
    return Text(
        "Clear the failed check first; until then the figures mean nothing.",
        "先解决未通过的检查；在此之前这些数字没有意义。",
    )


def _train(report: Report) -> Text | None:
    if any(arm.arm.startswith("tuned") for arm in report.arms):
        return None
    return Text(
        "No tuned model was evaluated: kb train, then kb eval again.", "尚未评测微调模型：先 kb train，再 kb eval。"
    )


def _few(report: Report) -> Text | None:
    if report.facts >= FEW_FACTS:
        return None
    return Text(
        f"Add documents until there are at least {FEW_FACTS} facts: kb ingest, kb generate-qa, then kb eval again.",
        f"增加文档，使事实数达到 {FEW_FACTS} 个以上：kb ingest、kb generate-qa，然后再 kb eval。",
    )


def _retrain(report: Report) -> Text | None:
    gain = report.comparison("tuned", "base")
    if not gain or gain.sign > 0:
        return None
    return Text(
        "See whether training converged (the run's TensorBoard log); train longer or with a higher rate, then kb eval.",
        "查看训练是否收敛（该次训练的 TensorBoard 日志）；延长训练或提高学习率，然后再 kb eval。",
    )


def _reword(report: Report) -> Text | None:
    tuned = report.arm("tuned")
    if not tuned or not tuned.gap or tuned.gap.low <= 0 or tuned.gap.value < WIDE_GAP:
        return None
    gap = size(tuned.gap.value)
    return Text(
        f"Trained wordings do {gap} points better than new ones: more wordings for those facts ({MORE}).",
        f"训练过的问法比新问法高 {gap} 个百分点：为这些事实增加问法（{MORE}）。",
    )


def _retain(report: Report) -> Text | None:
    if not any(ring.lost for ring in report.rings) and not any(ring.invents for ring in report.untaught):
        return None
    return Text(
        "Train again with more replay and refusal rows, and see whether the losses shrink.",
        "增加回放与拒答数据后重新训练，看损失是否减小。",
    )


def _retrieve(report: Report) -> Text | None:
    found = report.comparison("oracle", "rag")
    if not found or found.sign <= 0 or found.difference.value < RETRIEVAL_LOSS:
        return None
    loss = size(found.difference.value)
    return Text(
        f"Retrieval costs {loss} points against the right passage: try another embedder or more passages.",
        f"检索比标准段落损失 {loss} 个百分点：换用其他嵌入模型或增加段落数。",
    )


def _cure(report: Report) -> Text | None:
    """Where further rows may teach what was not learnt."""
    count = sum(one.first for one in report.findings if one.name in CURED_BY_ROWS)
    if not count:
        return None
    return Text(
        f"Not all was learnt: further rows for {count} facts ({MORE}).",
        f"尚有未学会的：为 {count} 个事实增加训练行（{MORE}）。",
    )


def _serve(report: Report) -> Text:
    usable = [arm for arm in report.arms if arm.arm not in CONTROLS]
    best = named(NAMES, max(usable or report.arms, key=lambda arm: arm.correct.value).arm)
    return Text(
        f"Highest on these facts: {best.en}. Talk to it with kb chat; look into a fact with kb show ID.",
        f"在这些事实上得分最高的是{best.zh}。可用 kb chat 试用，用 kb show ID 查看单个事实。",
    )


def _spaced(text: Text) -> Text:
    """A space between Chinese and Latin letters or digits, as Chinese typesetting has it."""
    return Text(text.en, re.sub(r"(?<=[\w%])(?=[一-鿿])(?<![一-鿿])|(?<=[一-鿿])(?=[A-Za-z0-9])", " ", text.zh))


def _share(report: Report, name: str) -> str:
    arm = report.arm(name)
    return percent(arm.correct.value) if arm else "?"
