"""What a reader must know before believing the figures, in both languages."""

from __future__ import annotations

from kb.evaluate import panels
from kb.evaluate.arms import ARMS
from kb.evaluate.results import Report, Text
from kb.evaluate.wording import NAMES, named, p_value, pair, pair_zh, percent, points_range, sentence

FEW_FACTS = 30
"""Below so many clusters, intervals are rough."""
MUCH_UNPARSED = 0.05
ONE_WORDING = tuple(arm.name for arm in ARMS.values() if arm.wordings)
"""Arms that are not asked every wording of a fact, nor every fact."""
FEW_HITS = 5
"""Where both arms of a comparison have fewer facts right, or fewer not right, its p value is rough: in simulation up to
12% of arms that are equally good, but good in unlike ways, are called different there, instead of 5%."""
WIDER = 1.5
"""An interval over documents this much wider than that over facts is warned of; equal documents seldom reach it."""
MAIN = (("tuned", "rag"), ("tuned", "base"), ("rag", "base"))
"""Comparisons whose interval over documents is looked at; the first that is wider is named."""


def warnings(report: Report) -> list[Text]:
    """What a reader must know before believing the figures."""
    found = [
        Text(f"Check failed: {check.name} ({check.detail}).", f"检查未通过：{check.named().zh}（{check.told().zh}）。")
        for check in report.checks
        if not check.ok
    ]
    found += [*_guessed(report), *_rare(report), *_clustered(report), *_little_to_forget(report), *_left_out(report)]
    if report.arms and report.facts < FEW_FACTS:
        found.append(
            Text(
                f"Only {report.facts} facts: below {FEW_FACTS}, intervals and p values are rough.",
                f"只有 {report.facts} 个事实：少于 {FEW_FACTS} 个时，区间和 p 值都很粗略。",
            )
        )
    return [*found, *_unanswered(report)]


def _left_out(report: Report) -> list[Text]:
    """Said of what was asked and is in no figure, or could show nothing."""
    found = []
    if report.watched:
        found.append(
            Text(
                "Facts whose held-out wordings chose the adapter while it was trained are left out of the held-out"
                f" figures: {report.watched}.",
                f"训练中用于挑选适配器的事实，其留出问法不计入留出指标：{report.watched} 个。",
            )
        )
    if report.unfollowed:
        found.append(
            Text(
                f"Neither the base nor the tuned model followed any of {report.unfollowed} instructions: whether tuning"
                " costs following them cannot be seen.",
                f"{report.unfollowed} 条指令，原模型与微调模型一条都没有遵循：无法看出微调是否损害这种能力。",
            )
        )
    return found


def _unanswered(report: Report) -> list[Text]:
    """Said of arms with answers that are missing, or mean nothing to the scorer."""
    found = []
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


def _rare(report: Report) -> list[Text]:
    """Said of comparisons that are called different where both arms know next to nothing, or next to everything."""
    rare = []
    for one in report.comparisons:
        arms = [report.arm(name) for name in (one.arm, one.against)]
        right = [arm.correct.value * arm.facts for arm in arms if arm]
        not_right = [(1.0 - arm.correct.value) * arm.facts for arm in arms if arm]
        if one.sign and right and (max(right) < FEW_HITS or max(not_right) < FEW_HITS):
            rare.append(one)
    if not rare:
        return []
    english = ", ".join(pair(one) for one in rare)
    chinese = "，".join(pair_zh(one) for one in rare)
    return [
        Text(
            f"p values are rough where both arms have fewer than {FEW_HITS} facts right, or not right: {english}.",
            f"两组答对（或未答对）的事实都不足 {FEW_HITS} 个时，p 值很粗略：{chinese}。",
        )
    ]


def _clustered(report: Report) -> list[Text]:
    """Said where the facts of one document stand or fall together, so that other documents could give other figures.

    Of a difference that is not called one, or that every fact shows whole, the interval over documents says it all.
    """
    for one in (report.comparison(*arms) for arms in MAIN):
        if not one or not one.by_document or not one.sign or abs(one.difference.value) == 1.0:
            continue
        if one.by_document.width > WIDER * one.difference.width:
            near, wide = points_range(one.difference), panels.by_document(one)
            return [
                Text(
                    f"Facts of one document stand or fall together: {pair(one)} is {near} for these documents, but"
                    f" {wide} for documents like them.",
                    f"同一文档的事实往往一起对或错：{pair_zh(one)} 对这些文档为 {near}，对同类文档则为 {wide}。",
                )
            ]
    return []


def _guessed(report: Report) -> list[Text]:
    """Said where the tuned model beats the base on documents that it was never trained on."""
    placebo = next((one for one in report.apart if one.kind == "placebo"), None)
    if not placebo or not placebo.gain or placebo.gain.sign <= 0:
        return []
    before, after = (percent(placebo.correct[arm].value) for arm in ("base", "tuned"))
    p, count = p_value(placebo.gain.p_adjusted), placebo.facts
    return [
        Text(
            f"On {count} facts of documents that were never trained, tuning raised what is right from {before} to"
            f" {after} ({p}): the figures measure more than knowledge of the trained text.",
            f"在从未训练过的文档的 {count} 个事实上，微调后答对比例也从 {before} 升至 {after}（{p}）："
            "所测得的不只是对训练文本的掌握。",
        )
    ]


def _little_to_forget(report: Report) -> list[Text]:
    """Said where the base knew so few of the facts from elsewhere that it could hardly forget any."""
    asked = next((one.probes for one in report.untaught if one.ring == "known"), 0)
    had = next((one.had for one in report.kept if one.kind == "known"), 0)
    if not asked or had >= FEW_FACTS:
        return []
    return [
        Text(
            f"The base had only {had} of {asked} world facts right: what tuning made it forget can hardly be seen"
            " there.",
            f"原模型在 {asked} 个世界知识问题中只答对 {had} 个：从中几乎看不出微调造成的遗忘。",
        )
    ]
