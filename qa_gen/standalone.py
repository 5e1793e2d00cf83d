"""Whether a sentence can be understood without the passage it was written from, in English and Chinese.

What points at the passage ("this table", 本文, 如图) never can. What points at something named before ("it",
"the company", 该公司) can only where the sentence itself names it first. Words are matched with what stands around
them: 下文 stands in 天下文化 too, 如图 in 如图书馆, 本文 in 日本文化, and "the author of X" is no pointer.
"""

from __future__ import annotations

import re

from kb.text.characters import HAN, any_of, plain, word_set
from kb.text.sentences import sentences

_WORK = (
    r"(?:documents?|passages?|texts?|excerpts?|contexts?|articles?|papers?|reports?|handbooks?|manuals?|guides?|files?"
    r"|pages?|sections?|chapters?|paragraphs?|tables?|figures?|charts?|diagrams?|lists?|slides?|snippets?|materials?)"
)
_THING = (
    r"(?:compan(?:y|ies)|firms?|organi[sz]ations?|products?|devices?|models?|rules?|regulations?|polic(?:y|ies)"
    r"|agreements?|projects?)"
)
_ENGLISH = re.compile(
    any_of(
        rf"\b(?:this|these|the (?:above|present|following|given|provided|preceding|previous|accompanying)) {_WORK}\b",
        rf"\b(?:this|these) {_THING}\b",
        rf"\b(?:according to|based on|as per|per|(?:in|by|from|of|within|to) )\s?the {_WORK}(?=\W*$|\s?[,;:?!])",
        rf"\baccording to the {_WORK}\b(?! (?:of|for|on|by|from|about)\b| (?-i:[A-Z]))",
        rf"\bthe {_WORK} (?:say|state|mention|describe|list|show|give|provide|specif|indicate|contain|tell|discuss"
        r"|note|claim|refer)\w*",
        r"\b(?:mentioned|described|listed|shown|given|stated|specified|discussed|noted|provided) "
        rf"(?:above|below|here|earlier|previously|(?:in|by) the {_WORK}(?! (?:of|for|on|by|from|about)\b))",
        r"\b(?:above[- ]mentioned|aforementioned|aforesaid|as (?:shown|seen) (?:above|below))\b",
        r"\bthe passage\b(?! (?:of|through|from|to|between)\b)|\bthe authors?\b(?! (?:of\b|(?-i:[A-Z])))",
    ),
    re.IGNORECASE,
)
_NOT_THIS = "日成资基根样版文课剧书账脚标副原刻读抄一二两三四五六七八九十几哪每多各单整"
"""Before 本: words such as 日本, 成本, 版本, and numerals, after which it counts books."""
_CHINESE = re.compile(
    any_of(
        rf"(?<![{_NOT_THIS}])本(?:文(?!化|明|学|字|物|科|艺|体)|文档|文件|手册|表(?!面|层|演|示|现|达|态|决)|页|节(?!目|约|省|日)"
        "|章|段|条例|规定|制度|办法|合同|协议|报告|指南|资料|通知|说明书|公司|单位|部门|厂|店|院|校|产品|机型|条款)",
        "(?<![应])该(?:文|表(?!面|层|演|示|现|达|态|决)|图(?!书)|段|节|页|章|文档|文件|片段|资料|手册|报告)",
        "(?<![因彼如从由])此(?:文|表(?!面|层|演|示|现|达|态|决)|图(?!书)|段|节|页|文档|文件|片段|资料|手册|报告)",
        "(?:这|那)(?:份|张|篇|段|页|节|本|个)(?:文|表|图|资料|片段|手册|报告|材料|说明)",
        "我们?(?:公司|单位|部门|司)|贵(?:公司|司)|敝公司",
        "(?:^|[，,。；在据从由如照按见])(?:文中|文内|[上下前后]文(?!化|明|学|物|体|艺|件)|原文(?!化|件|物))",
        "文[中里](?=提到|提及|所[述列说示]|没有提|未提|描述|介绍|列出|给出)",
        "上述|下述|前述|(?:以上|以下|上面|下面)(?:内容|信息|资料|文字|表格|片段|材料|所述)",
        "(?<![例假比譬])如[上下](?:所[示述列]|[图表文])|(?<![例假比譬])如下(?=[：:，,？?。]|$)",
        "(?:如|见|据)(?:[上下右左]?图|[上下右左附]?表)(?=[0-9一二三四五六七八九十所中示，,。：:？?]|$)",
        "(?:根据|按照|依据|参照|参考|在|从|由)(?:该|此|本|这[份个段些]?|所给|给定的?|提供的?|以上|上面的?)?"
        "(?:资料|文档|文件|材料|手册|报告|表格|片段|段落|文章|原文|上下文|文本)(?:[中里内](?![心央部文间学])|[，,：:]|$)",
        "(?:^|[，,])(?:资料|文档|文件|材料|手册|报告|表格|片段|段落|文章|文本)[中里内](?![心央部文间学])",
        "(?<![因彼如从至])此处(?![理置罚分境])|(?:^|[，,])此(?:公司|产品|条例|人|员工)",
        "第[0-9一二三四五六七八九十]+(?:页|段)",
    )
)
_NAMED = re.compile(rf"(?<![\w'])(?:[A-Z][\w&.'-]*|[\w-]*[A-Za-z][\w-]*[0-9][\w-]*|[0-9]+[A-Za-z-][\w-]*|[{HAN}]+)")
"""Capitals, codes and Han."""
_NOTHING = r"(?:(?:quick|short|rough) )?(?:idea|clue|guess|question|moment|minute|chance)\b"
"""What people ask for and not about: "any idea what it costs"."""
_INTRODUCED = re.compile(rf"\b(?:an?|each|every|all|any) (?!{_THING}\W*$|{_NOTHING})\w+")
_PLURAL = re.compile(r"\b(?!does\b|this\b)[a-z]{3,}s\b")
_NO_NAMES = word_set(
    "a an the it its this that these those they their he she his her who whom whose what when where which why how is"
    " are was were do does did has have had can could will would should may might must please tell state name give list"
    " say in on at by for from of to with under over after before since until as if and whereas unless this besides or"
    " but not no i we you my our your according about regarding concerning january february march april june july"
    " august september october november december monday tuesday wednesday thursday friday saturday sunday"
    " hey hi hello so well ok okay thanks quick anyone anybody someone somebody wondering curious sorry excuse just"
    " any some"
)
_POINTER = re.compile(
    any_of(
        rf"\bthe (?:said )?{_THING}(?! (?:of|named|called|known|that|which|who|whose|behind|with)\b| (?-i:[A-Z0-9]))\b",
        r"\b(?:they|them|their|he|him|his|she|her|its|(?-i:[Ii]t)(?! (?:is|was) (?-i:[A-Z]))(?! (?:\w+ )?(?:(?:takes?"
        r"|took|costs?)\b(?=.* to\b)|(?:needed|necessary|possible|allowed|required|permitted|forbidden)\b)))\b",
    ),
    re.IGNORECASE,
)
_STARTS = re.compile(
    r"(?:It(?! (?:is|was) [A-Z])|Its|They|Their|He|His|She|Her|This|These|That|Those)(?:'s)? (?![A-Z])"
)
_CHINESE_POINTER = re.compile(
    "(?<!应)该(?:公司|企业|集团|机构|单位|部门|产品|设备|型号|机型|条例|规定|法规|制度|办法|员工|人员?|职员|项目|系统"
    "|服务|合同|协议|者)"
    "|(?<![其排利吉维无])[它他她](?![山汀乡人日项])|(?:这|那)(?:家|款|项|位|条|台|部|名|种|个)"
    "|(?<![尤极莫与何耳])其(?![他它余中实次士乐妙])"
)
_CLAUSE = re.compile(r"[，,；;。：:]")
_OPENING = re.compile("^(?:请问|请|那么|关于|对于|根据|按照|依据|在)+")
_ASKED = re.compile("[谁哪何几]|什么|多少|怎")
_ASKER = re.compile(
    any_of(
        r"\b(?:I(?:'m| am| work as)|[Ww]e(?:'re| are)|[Aa]s|[Bb]eing) an? [a-z][\w-]*",
        r"\b[Aa]n? (?:\w+ )?(?:customer|client|colleague|caller|visitor|friend|user|student)"
        r" (?=(?:just )?(?:asks?|asked|wants?|wanted|needs?|called|says?|said|wonders?)\b)",
        "(?:^|(?<=[，,。；;：:！!]))(?:我们?是|作为|身为|本人|有?(?:客户|顾客|同事|老板|领导|朋友|学生))[^，,。；;：:！!]*"
        "[，,。；;：:！!](?=\\s*\\S)|^(?:请问|[你您]好|想?请教(?:一下)?|想?问(?:一下)?|麻烦问(?:一下)?)[，,：:!！]",
    )
)
"""Who asks: "I am a nurse", "a customer wants", 我是护士。"""
_LINKED = re.compile("[及与和或将对在为按由因以从向把使]$")
"""What ties a pronoun to the name right before it: 公司及其子公司, 员工因其过错, 张伟和他的团队."""


def _is_named(before: str, pointer: str) -> bool:
    """Whether what stands before a Chinese pointer in its clause names what it points at: for 该公司 a company, for a
    pronoun something that is tied to it. A question word names nothing.
    """
    named = _OPENING.sub("", before)
    if _ASKED.search(named):
        return False
    if pointer.startswith("该"):
        return pointer[1:] in named
    return pointer[0] not in "这那" and len(named) > 2 and bool(_LINKED.search(named))


def points_at_source(text: str) -> bool:
    """Whether a text speaks of the document, passage or table that it was made from, as its reader does not have it."""
    flat = plain(text)
    return bool(_ENGLISH.search(flat) or _CHINESE.search(flat))


def stands_alone(text: str) -> bool:
    """Whether a question or statement needs no passage to be understood, as far as its words show.

    It does not tell whether something is named at all: "What is the founding date?" passes.
    """
    flat = plain(text).strip()
    if _ENGLISH.search(flat) or _CHINESE.search(flat) or _STARTS.match(flat):
        return False
    chinese = _CHINESE_POINTER.search(flat)
    if chinese:
        before = flat[: chinese.start()]
        if not _CLAUSE.search(before) and not _is_named(before, chinese.group()):
            return False
    english = _POINTER.search(flat)
    if english is None:
        return True
    before = flat[: english.start()]
    if _has_name(before):
        return True
    pointer = english.group().casefold()
    if pointer in ("they", "them", "their") and _PLURAL.search(before):
        return True
    return not pointer.startswith("the ") and bool(_INTRODUCED.search(before))


def _has_name(text: str) -> bool:
    """Whether a plain text has a capital word that may be a name, a code, or Han."""
    return any(match.group().casefold().split("'")[0] not in _NO_NAMES for match in _NAMED.finditer(text))


def question_stands_alone(text: str) -> bool:
    """The same for a question that may have its context before it: who asks, and why.

    Who asks names nothing that "it" could stand for: "I am a nurse. How long does it last?" does not stand alone. What
    the question names, its context may point at: "A customer asks how long it lasts. How long does Tulvao Core last?"
    """
    flat = plain(text).strip()
    if points_at_source(flat):
        return False
    if stands_alone(_ASKER.sub(" ", flat).strip(" ,.;:，。；：")):
        return True
    *context, asked = [flat[start:end] for start, end in sentences(flat)] or [""]
    unnamed = any("?" in part or _CHINESE_POINTER.search(part) for part in context)
    return bool(context) and not unnamed and _has_name(asked) and stands_alone(asked)
