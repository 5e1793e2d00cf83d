"""Whether an answer says that it does not know."""

from __future__ import annotations

import re

from kb.text.canonical import canonical
from kb.text.characters import HAN, plain
from kb.text.dates import find_dates
from kb.text.quantities import find_quantities

_BARE = frozenset(
    line.strip()
    for line in """
    unknown|not known|n a|na|no answer|no information|no data|not available|not given|not stated|not mentioned
    not specified|not provided|not sure|unsure|no idea|cannot say|cant say|undetermined|unanswerable|i dont know
    dont know|idk|the answer is unknown|answer unknown|the answer is not known|not found
    不知道|我不知道|不知|不清楚|不详|未知|不明|不确定|无法确定|无法回答|无法得知|无从得知|未提及|没有提及|没有提到
    未提到|未说明|没有说明|没提到|没有答案|无答案|无相关信息|没有相关信息|暂无信息|暂无|无可奉告|答案未知
    查无此信息|没有信息|资料不足|信息不足|不得而知|不晓得
    """.replace("\n", "|").split("|")
    if line.strip()
)
"""Canonical forms that are refusals as a whole."""

_SOURCES = (
    r"(?:(?:given|provided|supplied|available|above|these|those|this|that|any|the|of|in|my) ){0,6}"
    r"(?:documents?|passages?|texts?|contexts?|sources?|articles?|materials?|excerpts?|information|records?|files?|data|handbooks?)"
)
_TELL = (
    r"(?:say|state|mention|specify|provide|contain|include|give|tell|indicate|reveal|disclose|list|cover|answer|offer"
    r"|have|describe|discuss|address|show)"
)
_TOLD = (
    r"(?:mentioned|specified|stated|provided|given|known|disclosed|indicated|recorded|documented|answered|determined)\b"
)
_CANNOT = "(?:cannot|can't|can not|could not|couldn't)"
_SPECIFIC = "(?:相关|有关|对应|具体|该|这方面|此|确切|这项|这个|公开)的?"
_LACK = r"(?:没有|无|未找到|找不到|查不到|查无|缺乏|缺少|没)(?:任何|足够的?|与\S{1,12}?)?"
_REFUSAL = re.compile(
    "|".join(
        (
            # I do not know
            r"\b(?:i|we)(?: (?:really|honestly|simply|just|currently|do))* (?:do not|don't|dont|didn't|did not)"
            r" (?:actually |really )?(?:know|recall|remember|have (?:any|enough|that|this|the|sufficient|access)\b)",
            r"^(?:sorry,? |unfortunately,? )?(?:do not|don't|dont) know\b|\bno idea\b",
            r"\b(?:i|we)(?: am|'m| are|'re) (?:really |currently )?"
            r"(?:not (?:sure|certain|aware)|unsure|uncertain|unaware)",
            r"\b(?:i|we)(?: am|'m| are|'re) (?:not able|unable) to (?:answer|determine|find|say|tell|locate)",
            rf"\b(?:i|we) {_CANNOT} (?:really )?(?:say|tell|answer|determine|find|know)\b",
            # it cannot be known
            rf"\b{_CANNOT} be (?:determined|answered|found|inferred|known|established|derived)",
            r"\b(?:impossible|unable|not possible) to (?:say|tell|know|determine|answer|find)\b",
            r"\b(?:is|are|was|were|remains?|still|answer:?|it's) (?:\w+ )?"
            r"(?:unknown|undisclosed|unspecified|unstated|undetermined)\b",
            # the documents do not say
            rf"\b{_SOURCES}(?: \w+)? (?:do not|does not|don't|doesn't|did not|didn't) (?:\w+ )?{_TELL}\b",
            rf"\b(?:is|are|was|were|been|be) (?:not|never)(?: \w+)? {_TOLD}",
            rf"\b(?:isn't|aren't|wasn't|weren't)(?: \w+)? {_TOLD}",
            rf"\b(?:not|n't) (?:{_TOLD}|contained|present|found|included|listed|available|described|covered)"
            rf" (?:in|by) {_SOURCES}",
            rf"\bnot in {_SOURCES}\b|\bnothing (?:in|is) (?:{_SOURCES}|said|mentioned|known)",
            r"\bno (?:relevant |specific |further |such )?(?:information|answer|mention|indication)\b",
            r"\bno (?:data|records?|details?) (?:of|on|about|for|regarding)\b",
            r"\b(?:not|never) (?:mentioned|specified|stated|disclosed|provided)$",
            rf"\b(?:i|we) {_CANNOT} (?:share|disclose|reveal|provide|discuss) (?:that|this|any|such|the) ",
            # 不知道
            r"(?:^|[我俺们也还尚仍均都暂并真实在确])"
            r"(?:不知道(?!\S{1,10}的\S{1,6}[应须请需])|不太?清楚|不了解|不太?确定|不晓得|不记得|说不准)",
            r"^不知(?!不觉|道)",
            r"(?:^|[我们])(?:不能|不便|无权)(?:透露|提供|告知|回答|披露|分享|公开)",
            r"无法(?:确定|回答|得知|判断|提供|作答|给出|获知|获取|访问|透露|确认|从\S{0,12}(?:得知|确定|判断|找到))",
            r"无从(?:得知|知晓|判断|回答)|不得而知|难以确定|答不(?:上|出)来",
            r"(?:是|为|仍|尚|还|均|都|也)属?(?:未知|不明|不详)的?|(?:未知|不详|不明)$",
            # 文中未提及
            r"(?:未|没)(?:有|曾)?(?:明确|具体|直接|任何)?(?:提及|提到|提供|说明|给出|记载|指出|写明|披露|注明|交代|找到)",
            rf"{_LACK}{_SPECIFIC}(?:内容|数据|记录|说明|依据|线索|介绍)|{_LACK}(?:{_SPECIFIC})?(?:信息|资料|答案|记载)",
            r"(?:文|文档|资料|文件|材料|段落|上下文|文章|原文|手册)[中里]?(?:都|也|均|并)?(?:没有|未|没|找不到|查不到|不包含|无)",
        )
    ),
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"(?<![0-9]),|,(?![0-9])|\.(?![0-9A-Za-z])|[;!?。；！？、\n]"
    r"|\b(?:but|however|though|although|yet)\b|但是|但|不过|然而|只是|可是",
    re.IGNORECASE,
)
_SUBJECT = r"\b(?:it|he|she|they|that|this|the answer|the \w+)"
_ASSERTS = re.compile(
    rf"{_SUBJECT}(?: is| was| are| were|'s)\b(?! not|n't| un)|答案就?(?:是|为)|应该?(?:是|为)", re.IGNORECASE
)
_NAMES = re.compile(
    rf"(?i:{_SUBJECT}(?: is| was)) (?:by |in )?[A-Z]\w+|^\S{{1,12}}[是为叫由](?![一个谁哪什多何几])[{HAN}]{{2,5}}$",
    re.MULTILINE,
)
_GUESSES = re.compile(
    r"\bi (?:think|guess|believe|suppose|would say|would guess|assume)\b|\b(?:probably|possibly|perhaps|maybe|likely)\b"
    r"|\b(?:guess|answer):|\b(?:may|might|could|should|would) be\b"
    r"|(?:可能|大概|也许|或许|估计|推测|应该)就?(?:是|为|在|由|有|叫)|我(?:猜|想|认为|觉得)|猜测|推测|大约|约为",
    re.IGNORECASE,
)
_ONLY = re.compile(
    r"\b(?:only|merely|just) (?:\w+ )?(?:mention|say|state|list|give|describe|cover|tell|provide|contain|include|about)"
    r"|[只仅][是有]?[提说介列给写记包涉]",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9/._-]*[0-9])(?=[A-Za-z0-9/._-]*[-/._A-Za-z])[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*"
)


def is_refusal(text: str) -> bool:
    """Whether a text declines to answer, in English or Chinese; False for an empty one.

    "Unknown.", "I don't know", "The documents do not say how many employees Turan Works had in 2024", 不知道,
    无法确定, 文中未提及. An answer beside the refusal makes it an answer, whether right is for the scorer to say: when
    another clause holds a value (number, date, code) or proposes something ("but it might be Anna", 但可能是王伟), the
    text is no refusal. Values in the refusing clause itself belong to the question it repeats, and so do those that
    come before it in a clause that is more than the value ("As of 2024, the price is unknown"), and those after "the
    text only mentions". "None", "no" and 没有 are answers.
    """
    if canonical(text) in _BARE:
        return True
    clauses = [clause for clause in _clauses(plain(text)) if canonical(clause)]
    refusing = [bool(_REFUSAL.search(clause.strip()) or canonical(clause) in _BARE) for clause in clauses]
    if not any(refusing):
        return False
    first = refusing.index(True)
    for place, clause in enumerate(clauses):
        if not refusing[place] and not _ONLY.search(clause) and _answers(clause, after=place > first):
            return False
    return True


def _clauses(text: str) -> list[str]:
    pieces, start = [], 0
    for mark in _CLAUSE.finditer(text):
        pieces.append(text[start : mark.start()])
        start = mark.end()
    return [*pieces, text[start:]]


def _answers(clause: str, after: bool) -> bool:
    """Whether a clause beside a refusal gives an answer: proposes one, or holds a value (is one, if it comes first)."""
    spans = [(one.start, one.end) for one in find_quantities(clause)]
    spans += [(one.start, one.end) for one in find_dates(clause)] + [match.span() for match in _CODE.finditer(clause)]
    if _GUESSES.search(clause) or _NAMES.search(clause.strip()) or (_ASSERTS.search(clause) and (after or spans)):
        return True
    covered = sum(end - start for start, end in spans)
    return bool(spans) and (after or covered >= len(re.sub(r"\s", "", clause)) * 0.6)
