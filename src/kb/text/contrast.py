"""What an answer takes back: negations, strict bounds, doubts, alternatives.

These look at the words around a value in plain text. They are built to miss a right answer rather than to pass a wrong
one.
"""

from __future__ import annotations

import re

from kb.text.characters import HAN, any_of

_CLAUSE_END = re.compile(
    any_of(
        r"[,;:!?。，；：！？、\n]|\.(?:\s|$)",
        r"(?<!thing )(?<!yone )(?<!ybody )(?<!\ball )\bbut\b|\bwhereas\b|\bit(?:'s| is| was)\b|\bthey (?:are|were)\b",
        "而是|却是|应是|应为|其实是|实际是|实为",
    ),
    re.IGNORECASE,
)
_MORE = r"(?:more|less|fewer|[a-z]+er)"
_BOUND_WORDS = re.compile(
    any_of(
        rf"\b(?:not?|never|cannot|must not|may not|shall not) (?:to )?(?:(?:be )?{_MORE} than|exceed(?:ing)?)",
        r"\b(?:not?|never|cannot|must not|may not|shall not) (?:be )?(?:over|under|above|below)\b",
        r"\bnot only\b|\bno sooner\b",
        "不(?:得|能|可|应|会)?(?:超过|多于|少于|低于|高于|足|迟于|晚于|早于|大于|小于|到)|不仅|不只|不光",
    ),
    re.IGNORECASE,
)
_NEGATOR = re.compile(
    any_of(
        r"\b(?:not|never|neither|nor|no longer|cannot|[a-z]+n't|isnt|wasnt|without|except|unlike)\b",
        r"\b(?:rather than|instead of|other than|any(?:thing|one|body) but|every(?:one|body) but|all but)\b",
        "(?<!是)不是|并非|而非|绝非|决非|并不|并没|从不|从未|没有|除了",
        "不(?=[在为叫由属会再姓设位等包要])|未(?=[在由被获]|曾)|(?<![除莫])非(?=[^常洲凡])",
    ),
    re.IGNORECASE,
)
_NEGATED_AFTER = re.compile(
    rf"(?!\s?[,，]\s?而?(?:不是|并非|而非)[{HAN}\w])\W{{0,3}}"
    + any_of(
        r"(?:is|was|are|were|did|does|do|has|have|had|can|could|would|will|should)(?:n't| not\b| never\b|nt\b)",
        r"cannot\b|never\b|(?:is|was|would be) (?:wrong|incorrect|false|untrue)\b",
        "(?:并|也|都|从|却|绝|当然)?(?:不是|没有|没|非(?!常)|不对|不正确|不属|不再|不在|不叫|未(?!来))",
        "是错|有误|错误|以外|之外",
    ),
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！!?？\n]|\.(?=\s|$)")

_STRICT = re.compile(
    any_of(
        rf"\b{_MORE} than|\b(?:over|under|above|below|beyond|nearly|almost|approaching|close to|upwards of)",
        r"\b(?:exceed(?:s|ed|ing)?|another|further|additional|half(?: of)?|twice|double|triple|third of|quarter of)",
        rf"\b(?:increas\w+|rise[ns]?|rose|fell|drop\w*|reduc\w+|cut|raised|lower\w*|grew|{_MORE}) by",
        r"[0-9]\s?[x×*]|[<>]",
        "(?<!不)(?<!不得)(?<!不能)(?<!不可)(?<!不应)(?<!不会)(?<!未)(?:超过|多于|大于|高于|少于|低于|小于)",
        "不到|不足|将近|接近|逾|近|另有|另外|增加|减少|提高|降低|上涨|下降|优惠|便宜|比|(?<![最至许])多|(?<![最至])少",
    )
    + r"\s?(?:了|的是)?\s?[¥$€£]?$",
    re.IGNORECASE,
)
_STRICT_NOT = re.compile(
    rf"\b(?:no|not|nor|never|cannot|n't)(?: be| to)* (?:{_MORE}|over|under|above|below|exceed\w*)[a-z ]*$",
    re.IGNORECASE,
)
_OFFSET_AFTER = re.compile(
    r"\s?"
    + any_of(
        r"(?:more|less|fewer|longer|shorter|heavier|lighter|cheaper|higher|lower|later|earlier|ago|discount)\b",
        r"short of\b",
        r"too (?:much|many|few)\b",
        "的(?:一半|[两二三四五0-9]+倍|[一二三四五]分之)",
    ),
    re.IGNORECASE,
)

_DOUBT = re.compile(
    any_of(
        r"\b(?:scratch that|correction|i mean|wait,|on second thought|my mistake|or rather)",
        r"\b(?:is|was|are|were|be) (?:not (?:correct|right|true)|false|mistaken)\b|\b(?:incorrect|wrong)\b",
        r"\b(?:no|sorry|actually),",
        r"(?:是|有|说)错|错了|不对|不正确|有误|更正|纠正|抱歉|(?:^|[，。；！？,.;!?\s])不[，,。！]",
    ),
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"\b(?:or|either|alternatively|if not)\b|或(?!许)|还是|要么|抑或", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|might|(?-i:may)|could|likely)\b|可能|也许|大概|或许|兴许", re.IGNORECASE
)
_WINDOW = 48
"""Characters before a value in which a negation of the same clause reaches it."""


def is_negated(text: str, start: int, end: int) -> bool:
    """Whether the value at `start:end` of a plain text is denied or only asked for: "not 34 hours", 不是34小时, "X is
    not", "X?".

    A negation reaches to the end of its clause; "but", 而是, commas and full stops end it, so in "not X but Y" and
    "不是X而是Y" X is denied and Y is not. Bounds are no denials: "no more than 34 hours", 不超过34小时.
    """
    before = text[max(0, start - _WINDOW) : start]
    clause = before[max((match.end() for match in _CLAUSE_END.finditer(before)), default=0) :]
    clause = _BOUND_WORDS.sub(lambda match: " " * len(match.group()), clause)
    stop = _SENTENCE_END.search(text, end)
    asked = stop is not None and stop.group() in "?？"
    return bool(asked or _NEGATOR.search(clause) or _NEGATED_AFTER.match(text, end))


def is_strict_bound(text: str, start: int, end: int) -> bool:
    """Whether the quantity at `start:end` is a limit, a difference or a part, and so not the value.

    "More than 34", 超过34, "nearly 34", <34, "34 hours longer", "half of 34", 增加34. Limits that the value itself may
    take are values: "up to", "at least", "about", 至少, 最多, 不超过.
    """
    before = text[max(0, start - _WINDOW) : start]
    if _OFFSET_AFTER.match(text, end):
        return True
    return bool(_STRICT.search(before)) and not _STRICT_NOT.search(before.rstrip("¥$€£ ") + " ")


def is_doubted(text: str) -> bool:
    """Whether a plain text takes back or corrects what it says: "sorry, I mean", "is wrong", 更正, 不对."""
    return bool(_DOUBT.search(text))


def offers_alternatives(text: str) -> bool:
    """Whether a plain text names alternatives ("or", "either", 或, 还是) or hedges twice ("maybe X, perhaps Y")."""
    return bool(_ALTERNATIVE.search(text)) or len(_HEDGE.findall(text)) > 1
