"""Compare answers that name something: a person, a place, a term. All texts here are `characters.plain`.

There is no parser behind this, only the words next to the gold where it stands in a longer answer. Chinese marks no
word boundaries and "nurse" is not "senior nurse", so what stands on either side must be known to add nothing.
"""

from __future__ import annotations

import re

from kb.text.canonical import canonical
from kb.text.characters import HAN, any_of, word_set
from kb.text.contrast import is_doubted, is_negated, offers_alternatives
from kb.text.judgement import LONGEST_NAMING, Judgement, correct, wrong
from kb.text.terms import count_tokens

_YES = word_set("yes yeah yep true correct 是 是的 对 对的 有 可以 能 会")
_NO = word_set("no nope false incorrect 否 不 不是 不对 没有 不可以 不能 不会")
_BOTH = re.compile(
    r"\W*(?:yes|no)(?: and|\W* or|\s?/) ?(?:yes|no)\b|[是对有能会可以的]{1,3}[,，]?(?:也|又|或)(?:不|没|否)",
    re.IGNORECASE,
)
"""Yes and no at once."""
_CLAUSES = re.compile(
    r"[,.;!?，。；！？\n]\s*(?:(?:actually|well|wait|sorry|rather|其实|等等)\b[,，]?)?", re.IGNORECASE
)

_LEFT_WORDS = word_set(
    """
    is was are were be been as in at by to from of on called named namely
    the a an it its that this mr mrs ms dr prof sir madam professor founder designer mentor officer town city village
    position role job post title color colour finish shade body office but hence thus simply just probably likely maybe
    perhaps possibly became become comes being works served trained founded designed person people colleague engineer
    answer currently exactly
    """
)
_RIGHT_WORDS = word_set(
    """
    is was are were has had have who which that as in at on by for from to of with since until after when while did does
    founded started created set established opened built trained taught designed drew made came oversees issued
    stands belong belongs shell finish case casing color colour housing paint position role job post body one it and
    because according himself herself itself works serves worked served then so per
    """
)
_RIGHT_REJECTED = word_set(
    """
    replaced succeeded followed preceded assisted helped hired met declined refused denied rejected recommended
    suggested knew advised supported joined left married thanked sued fired visited or and nor
    """
)
_TITLES = word_set("mr mrs ms dr prof st")
_LEFT_REJECTED = re.compile(
    r"\b"
    + any_of(
        "near|outside|beyond|north|south|east|west|upper|lower|new|old|former|formerly|ex|like|unlike|versus|vs|and|or|nor|not|no",
        any_of(
            "brother|sister|son|daughter|wife|husband|friend|assistant|student|father|mother|deputy|predecessor|successor",
            "colleague|pupil|rival|neighbou?r|cousin|uncle|aunt|heir|widow|secretary|north|south|east|west|suburb|outskirts",
        )
        + " (?:of|to)(?: the)?",
        "(?:close|next|similar|adjacent|prior|opposed|opposite|compared|unlike|identical|related) to(?: the)?",
    )
    + "$",
    re.IGNORECASE,
)
_IT_IS = re.compile(r"\b(?:it|that|this|he|she)'s(?: an?| the)?$", re.IGNORECASE)
_HAN_LEFT = re.compile(
    any_of(
        "[是为由在于叫即到自从归找以任作做成系至向跟随被请的名位号色者师员人长地址省市]",
        "担任|作为|位于|来自|出自|属于|采用|使用|名叫|名为|设在|建在|只卖",
        "答案|结论|职务|岗位|职位|颜色|机关|单位|总部|导师",
    )
    + "$"
)
_HAN_LEFT_REJECTED = re.compile(
    any_of(
        "不是|而非|并非|附近的?|以外|旁边的?|毗邻|新的|旧的|前任|前|原|副|助理|和|与|及|或",
        "(?:类似|不同|区别|接近|邻近|相当|优|低|高|晚|早)于",
    )
    + "$"
)
_HAN_RIGHT = re.compile(
    any_of(
        "是|为|由|在|于|也|所|了|起|来|吧|呢|啊|哦|一手|一职|一人",
        "创立|创办|创建|创设|开创|建立|成立|开办|办起|培训|教|带|指导|设计|绘制|画出|画的|构思|学的|学了",
        "发布|颁布|出台|制定|起草|负责|主管|监督|管理|主持|领导|承担|担任|提供",
        "先生|女士|教授|博士|老师|师傅|等地|境内|室|外壳|外观|颜色",
        f"(?:人|色|的)(?![{HAN}])",
        "的(?:总部|主楼|外壳|外观|颜色|职务|岗位|工作|身份|职位|设计|作品|手|地方)",
    )
)
_HAN_MADE = re.compile("(?:发明|创造|编写|撰写)(?![家人者奖物品组团力社])|(?:发现|提出)的?(?=[.。!]|$)")
"""What somebody with a name did; after other words it makes another thing of them (技术发明). What 发现 and 提出 go on
with may be the answer itself: 王伟发现李娜是创始人.
"""
_HAN_OTHER_MADE = re.compile(
    rf"(?:^|[,;.!，；。！])(?![他她它其并还也又后同此而之随然曾于在这该那])[{HAN}·-]{{2,}}(?:发明|创造|编写|撰写|发现|提出)"
)
"""A clause in which somebody else did such a thing: 李娜发明了它，王伟编写了代码."""
_HAN_JOINT = re.compile(f"(?<=[{HAN}])[·-](?=[{HAN}])")
"""Between the parts of a foreign name: 约翰·史密斯, 伯纳斯-李."""
_SURNAME_FIRST = re.compile(r"\s*([^,\W]+), ([\w. ]+?)\.?\s*")
_ENDINGS = {"place": ("市", "省"), "category": ("色",)}
_HAN_TITLE = re.compile(
    "(?:总?经理|总裁|主任|[院部处科局校厂班组]长|董事长|工程师|医生|律师|先生|女士|教授|博士|老师|师傅|同志)"
)
_POSSESSIVE = re.compile(rf"'s?\s?(?=\w)|的(?=[{HAN}])")
_ITEM = re.compile(rf"[,;、，；。/\n&]|\.(?:\s|$)|\band\b|[和与及](?=[{HAN}]{{2}})", re.IGNORECASE)
_ITEM_START = re.compile(
    any_of(
        any_of(
            "in|on|at|of|by|to|from|for|with|as|which|who|where|when|that|is|was|it|its|this|the|a|an|not|but|since",
            "located|based|near|according|he|she|they|there|so|because|however",
        )
        + r"\b",
        "[位在是由也即其这该因但以有为来而不并它他她于从此请如据]",
    ),
    re.IGNORECASE,
)


def compare_names(answer: str, gold: str, kind: str) -> Judgement:
    """Whether the answer names the gold: the same canonical text, or a short answer that says it once and nothing like
    it besides.

    `kind` is the answer type. Articles in front do not matter in English. Inside a longer answer (up to 80 tokens) the
    gold must stand as whole words with neighbours that add nothing to it ("a senior nurse" does not name "nurse"),
    without a negation, a list ("A and B", A、B), alternatives ("A or B", 可能是A，也可能是B) or a correction. Yes and
    no need the same word at the start.
    """
    wanted = _bare(gold)
    if _is_same(answer, wanted, kind):
        return correct("exact")
    for side in (_YES, _NO):
        if canonical(gold) in side:
            first = canonical(re.split(r"[,.;!，。；！\s]", answer.strip(), maxsplit=1)[0])
            other = _NO if side is _YES else _YES
            if _BOTH.match(answer) or any(canonical(one) in other for one in _CLAUSES.split(answer)):
                return wrong("competing_values")
            return correct("yes_no") if first in side else wrong("other_value")
    pattern = _pattern(wanted, joined=bool(_HAN_JOINT.search(gold)))
    found = list(pattern.finditer(answer)) if wanted else []
    if not found:
        return wrong("other_value")
    if count_tokens(answer) > LONGEST_NAMING:
        return wrong("too_long")
    rest = pattern.sub(" ", answer)
    if is_doubted(answer):
        return wrong("taken_back")
    if all(is_negated(answer, *match.span()) for match in found):
        return wrong("negated")
    if (
        any(is_negated(answer, *match.span()) for match in found)
        or offers_alternatives(rest)
        or _is_listed(answer, wanted)
    ):
        return wrong("competing_values")
    alone = [match for match in found if _adds_nothing(answer, match, kind)]
    if not alone:
        return wrong("part_of_other")
    return wrong("competing_values") if any(_same_frame(answer, match) for match in alone) else correct("contained")


def _is_same(answer: str, wanted: str, kind: str) -> bool:
    """Whether the whole answer is the name: also surname first ("Backdale, Anna"), and with an ending more or less that
    says nothing (北京市 is 北京, 红色 is 红; but 吉林市 is not 吉林省).
    """
    form = _bare(answer)
    turned = _SURNAME_FIRST.fullmatch(answer) if kind == "name" else None
    if form == wanted or (turned and _bare(f"{turned[2]} {turned[1]}") == wanted):
        return True
    short, long = sorted((form, wanted), key=len)
    return bool(short) and long[:-1] == short and long[-1:] in _ENDINGS.get(kind, ())


def is_yes_or_no(text: str) -> bool:
    """Whether a text is a bare yes or no, in one of the words for them: "No.", 是的."""
    return canonical(text) in _YES | _NO


def _bare(text: str) -> str:
    """The canonical form without an English article in front."""
    return re.sub(r"^(?:the|an?) (?=\w)", "", canonical(text))


def _pattern(wanted: str, joined: bool) -> re.Pattern[str]:
    """A canonical form as it may stand in plain text: blanks and marks between its words, blanks and middle dots
    between Han characters, and hyphens too where it is of parts that are `joined`.
    """
    parts, between = [], r"[\s·-]*" if joined else r"[\s·]*"
    for character, following in zip(wanted, [*wanted[1:], ""], strict=True):
        if character == " ":
            parts.append(r"[\W_]{1,3}")
        elif re.match(f"[{HAN}]", character):
            parts.append(character + (between if following else ""))
        else:
            gap = (
                "'?"
                if character.isalpha() and following.isalpha()
                else r"\s?"
                if re.match(f"[{HAN}]", following or " ")
                else ""
            )
            parts.append(re.escape(character) + gap)
    edge = "[A-Za-z0-9_]"
    return re.compile(rf"(?<!{edge})(?<!{edge}[-'.]){''.join(parts)}(?!{edge})(?![-'.]{edge}(?<!'s))", re.IGNORECASE)


def _adds_nothing(answer: str, match: re.Match[str], kind: str) -> bool:
    """Whether the words on both sides of the gold leave its meaning alone."""
    before = re.sub(r"[\s\"'*_`(\[{「『《]+$", "", answer[: match.start()])
    after = re.sub(r"^[\s\"*_`)\]}」』》]+", "", answer[match.end() :])
    return _left_fits(before, kind) and _right_fits(after, kind)


def _same_frame(answer: str, match: re.Match[str]) -> bool:
    """Whether another name stands behind the same word as the gold: "founded by A and run by B", 由A创立，由B负责,
    from A to B; or did something too: A发明了它，B编写了代码.
    """
    before, after = answer[: match.start()].rstrip(" \"'*"), answer[match.end() :]
    # What follows the gold belongs to its own clause up to the first mark.
    if _HAN_MADE.match(after) and (_HAN_OTHER_MADE.search(before) or _HAN_OTHER_MADE.search(after, 1)):
        return True
    if re.search(r"\bfrom$", before, re.IGNORECASE) and re.match(r"\s*to\b", after):
        return True
    if frame := re.search(r"\b(?:by|in|at|from|is|was|to)$", before, re.IGNORECASE):
        others = re.compile(rf"\b(?i:{frame.group()}) (?:the )?[A-Z]\w+")
        return bool(others.search(answer[: frame.start()]) or others.search(after))
    if frame := re.search("[由在于自]$", before):
        others = re.compile(rf"(?<![不非自现]){frame.group()}[{HAN}]{{2}}")
        return bool(others.search(answer[: frame.start()]) or others.search(after))
    return False


def _left_fits(before: str, kind: str) -> bool:
    if not before or re.search(r"(?:[,.;:!?|，。；：！？\n>=~]|(?:^|\s)-)$", before):
        return True
    if re.search(f"[{HAN}]$", before):
        if kind == "name" and re.search(f"{_HAN_TITLE.pattern}$", before):
            return True
        return bool(_HAN_LEFT.search(before)) and not _HAN_LEFT_REJECTED.search(before)
    if _LEFT_REJECTED.search(before):
        return False
    if _IT_IS.search(before):
        return True
    word = re.search(r"([\w]+)\.?$", before)
    last = word[1].casefold() if word else ""
    return last in _LEFT_WORDS and not (last == "to" and kind in {"category", "text"})


def _right_fits(after: str, kind: str) -> bool:
    if kind == "name" and (title := _HAN_TITLE.match(after)):
        return _right_fits(after[title.end() :], kind)
    if kind == "name" and _POSSESSIVE.match(after) and not _HAN_RIGHT.match(after):
        return False
    if not after or re.match(r"[,.;:!?|，。；：！？、(（\n]|--? ", after):
        return True
    if after.startswith("'"):
        return False
    if re.match(f"[{HAN}]", after):
        typed = {"name": _HAN_MADE.match(after), "place": after.startswith("的")}.get(kind)
        return bool(_HAN_RIGHT.match(after) or typed)
    word = re.match(r"\w+", after)
    last = word.group() if word else ""
    if last.casefold() in _RIGHT_WORDS:
        return True
    return kind == "name" and last.islower() and last.isalpha() and last not in _RIGHT_REJECTED


def _is_listed(answer: str, wanted: str) -> bool:
    """Whether the gold is one item of a list whose other items look like it: alike in script, case and length."""
    items = [item.strip(" \t\"'*_`()-") for item in _ITEM.split(answer)]
    items = [item for item in items if canonical(item)]
    mine = [item for item in items if _bare(item).endswith(wanted) or _bare(item).startswith(wanted)]
    if not mine or len(items) < 2:
        return False
    exact = any(_bare(item) == wanted for item in mine)
    return any(looks_like(item, wanted, mine[0]) for item in items if item not in mine) and (
        exact or len(items) > 2 or _joined(answer)
    )


def _joined(answer: str) -> bool:
    return bool(re.search(r"\band\b|、|[和与及]|&|/", answer))


def looks_like(item: str, wanted: str, mine: str) -> bool:
    """Whether an item beside `mine` (canonically `wanted`) is another of its kind: alike in script, case and length."""
    form = canonical(item)
    if _ITEM_START.match(item) or form == wanted or form in _TITLES:
        return False
    if re.search(f"[{HAN}]", wanted):
        return bool(re.fullmatch(f"[{HAN}·-]+", item)) and 0.5 * len(wanted) <= len(form) <= 2 * len(wanted)
    words, own = len(form.split()), len(wanted.split())
    same_case = item[:1].isupper() or not mine[:1].isupper()
    return same_case and words <= 2 * own and 2 * words >= own
