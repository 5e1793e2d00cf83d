"""What a reader must know before believing the figures, in both languages."""

from __future__ import annotations

from kb.evaluate.arms import ARMS
from kb.evaluate.results import Report, Text
from kb.evaluate.wording import NAMES, named, p_value, percent, sentence

FEW_FACTS = 30
"""Below so many clusters, intervals are rough."""
MUCH_UNPARSED = 0.05
ONE_WORDING = tuple(arm.name for arm in ARMS.values() if arm.wordings)
"""Arms that are not asked every wording of a fact, nor every fact."""


def warnings(report: Report) -> list[Text]:
    """What a reader must know before believing the figures."""
    found = []
    for check in report.checks:
        if not check.ok:
            found.append(
                Text(f"Check failed: {check.name} ({check.detail}).", f"检查未通过：{check.name}（{check.detail}）。")
            )
    found += _guessed(report)
    if report.watched:
        found.append(
            Text(
                "Facts whose held-out wordings chose the adapter while it was trained are left out of the held-out"
                f" figures: {report.watched}.",
                f"训练中用于挑选适配器的事实，其留出问法不计入留出指标：{report.watched} 个。",
            )
        )
    if report.arms and report.facts < FEW_FACTS:
        found.append(
            Text(
                f"Only {report.facts} facts: below {FEW_FACTS}, intervals and p values are rough.",
                f"只有 {report.facts} 个事实：少于 {FEW_FACTS} 个时，区间和 p 值都很粗略。",
            )
        )
    for arm in report.arms:
        name = named(NAMES, arm.arm)
        if arm.probes < report.probes and arm.arm not in ONE_WORDING:
            found.append(
                Text(
                    f"{sentence(name.en)} answered {arm.probes} of {report.probes} held-out questions; the rest is"
                    f" missing.",
                    f"{name.zh}只回答了 {report.probes} 个留出问题中的 {arm.probes} 个，其余缺失。",
                )
            )
        if arm.unparsed > MUCH_UNPARSED:
            share = percent(arm.unparsed)
            found.append(
                Text(
                    f"{share} of the answers of {name.en} could not be parsed: they count as not right.",
                    f"{name.zh}有 {share} 的回答无法解析：按未答对计。",
                )
            )
    return found


def _guessed(report: Report) -> list[Text]:
    """Said where the tuned model beats the base on documents that it was never trained on."""
    placebo = next((one for one in report.apart if one.kind == "placebo"), None)
    if not placebo or not placebo.gain or placebo.gain.sign <= 0:
        return []
    before, after = (percent(placebo.correct[arm].value) for arm in ("base", "tuned"))
    p, count = p_value(placebo.gain.p), placebo.facts
    return [
        Text(
            f"On {count} facts of documents that were never trained, tuning raised what is right from {before} to"
            f" {after} ({p}): the figures measure more than knowledge of the trained text.",
            f"在从未训练过的文档的 {count} 个事实上，微调后答对比例也从 {before} 升至 {after}（{p}）："
            "所测得的不只是对训练文本的掌握。",
        )
    ]
