"""What small models write, read forgivingly: bullets, numbers, bold labels, quotation marks, words before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kb.errors import Unparsed
from kb.qa_gen.structured import read_list, text_of
from kb.text.characters import any_of

_SPEECH = re.compile(
    r"\s*"
    + any_of(
        r"(?:sure(?: thing)?|certainly|of course|okay|ok|no problem|great question)\s?[!,.:！，。]+\s*(?=\S)",
        r"here(?:'s|’s| is| are)\b[^:：\n]*(?:[:：]|\n|$)|(?:below|the following) (?:is|are)\b[^:：\n]*(?:[:：]|\n|$)",
        r"(?:好的|没问题|明白了?|收到)\s?[!,.:！，。：]+\s*(?=\S)|以下[是为][^:：\n]*(?:[:：]|\n|$)",
    ),
    re.IGNORECASE,
)
"""How chat models begin: no part of an answer."""
_ANSWER_LABEL = re.compile(
    r"\s*(?:\*\*)?(?:(?:full |short |final |detailed )?answer|(?:完整|详细)?(?:回答|答案))(?:\*\*)?"
    r"\s*[:：](?:\*\*)?\s*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)
_NONE = re.compile(
    r"\W*"
    + any_of(
        r"(?-i:NONE)\b[^\n]*",
        r"none|nothing|no (?:such |relevant |usable )?(?:facts?|questions?)(?: found| here| in (?:this|the) passage)?",
        "(?:没有|无)(?:此类|这样的?|这类|相关的?|可[提抽]取的?|任何|可用的?|符合条件的?)*(?:事实|问题|内容|信息)?"
        "(?:[（(，,][^\n]*)?",
    )
    + r"[^\w\n]*(?:\n|$)",
    re.IGNORECASE,
)
"""How a model says that there is nothing to write, on the first line."""
_BULLET = re.compile(
    r"\s*"
    + any_of(
        r"[-*•·●◦▪–—]\s+|[-•·●◦▪](?=\S)",
        r"[(（]?[0-9]{1,2}(?:[.．](?![0-9])|[)）、])\s*|[①-⑳]\s*|[a-h][.)]\s+",
        r"(?:q|question|wording|问题?|问法|问句)\s?[0-9]{0,2}\s?[:：.、．]\s*",
    ),
    re.IGNORECASE,
)
_KIND = any_of(
    r"(?:more )?(?:in)?direct(?:ly)?|(?:in)?formal(?:ly)?|casual|polite|instruction|imperative|command|purpose|role"
    r"|(?:an? )?(?:colleague|customer|examiner|form)(?: (?:in the corridor|on the phone))?|(?:a )?search(?:[- ]box)?"
    r"|key[- ]?words?|colloquial"
    r"|conversational|everyday|spoken|(?:with(?:out)?|in|no) context|context(?:ual)?",
    "(?:非?正式|直接|间接|祈使|口语|书面|指令|用途|角色|(?:走廊里的)?同事|(?:来电)?客户|填表|表单|搜索|考官|关键[词字]|(?:不?[带含]|[有无]|没有|结合|提供)?"
    "(?:背景|情境|场景|上下文))",
) + (
    r"(?:[- ](?:question|style|wording|tone|query|search|phrase|language|form))?"
    "(?:化|的|式|型|句|问题?|提问|问法|问句|语气|表达|说法|方式|风格|角度|框|检索|查询|搜索)*"
)
_BESIDE = rf"(?:(?:,| and|，|、)\s?{_KIND}|\s?[（(][^\n()（）]{{1,30}}[)）])?"
"""A second kind or a remark: "Colloquial, with context", 直接问（无背景）."""
_KINDS = any_of(_KIND, r"(?:by|as|from) [a-z ]{1,20}") + _BESIDE
_LABEL = re.compile(rf"(?:[\[【(（]{_KINDS}[\]】)）]\s?[:：]?|{_KINDS}\s?[:：])\s*", re.IGNORECASE)
"""The kind of a wording, which models copy from the prompt: "Formal: What is ...", 正式：……."""
_HEADING = re.compile(rf"[\[【(（]?{_KIND}{_BESIDE}[\]】)）]?", re.IGNORECASE)
"""A line that names the kind of the wording below it."""
_ASIDE = re.compile(r"\W*(?:note|notes|explanation|注意?|说明|备注)\s?[:：]", re.IGNORECASE)
_ASKED = re.compile(r"[?？][\"'”’」*_`,，]*\s*$")
_ENDED = re.compile(r"[.。?？][\"'”’」*_`,，]*\s*$")
_OPEN = re.compile(r"[^\W_][\"'”’」)）*_`]*\s*$")
"""How a question, a sentence and key words end."""
_REFUSES = re.compile(r"\W*(?:i(?:'m|’m)?\b|sorry|unfortunately|as an\b|很?抱歉|对不起|作为|我)", re.IGNORECASE)
_ARRAY = re.compile(r'^\s*\[\s*(?=")|(?<=")\s*\]\s*$', re.MULTILINE)
_QUOTES = {"*": "*", "_": "_", '"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "`": "`", "＂": "＂"}


def tag_pattern(*tags: str) -> re.Pattern[str]:
    """What finds a tag and its value in a line: "QUOTE: ...", "**1. 原文：** ...", "【答案】 ..."."""
    return re.compile(
        rf"[\s>*#_`•·-]*(?:[(（]?[0-9]{{1,2}}[.)、．）]\s*)?[\s*_`【\[]*(?P<tag>{'|'.join(tags)})\s?[0-9]{{0,2}}"
        r"(?:\s?[】\]][*_`]*\s?[:：]?|[*_`]*\s?[:：])[*_`]*\s*(?P<value>.*)",
        re.IGNORECASE,
    )


_TAGS = (("QUOTE", "原文"), ("FACT", "事实"), ("ANSWER", "答案"))
_TAG = tag_pattern("QUOTE", "FACT", "ANSWER", "原文", "事实", "答案")
_FIELDS = {"quote": 0, "原文": 0, "fact": 1, "事实": 1, "answer": 2, "答案": 2}
"""Tags to their place in a triple, in the order the prompts ask for."""


@dataclass(frozen=True)
class Draft:
    """A fact as the model wrote it, before anything is checked."""

    quote: str = ""
    statement: str = ""
    answer: str = ""

    @property
    def complete(self) -> bool:
        """Whether all three lines are there."""
        return bool(self.quote and self.statement and self.answer)


def parse_answer(text: str) -> str:
    """A short or full answer without the model's "Sure!" and "Answer:". Raises Unparsed when nothing is left."""
    rest = without_label(_FENCE.sub("", text).replace("**", "")).strip()
    if not re.search(r"\w", rest):
        raise Unparsed("no answer in the reply", "回复中没有答案")
    return rest


def parse_lines(text: str) -> tuple[str, ...]:
    """One question a line, without bullets, numbers, labels and quotation marks, or a list in JSON; "NONE" gives none.

    Where lines have bullets, numbers or labels, the others are the model's own words and left out. Without any, all
    lines count when all are sentences, else those that end with a question mark, and key words between them, which end
    with none. Lines that name a kind of question alone are no questions. Raises Unparsed when there are none.
    """
    if _NONE.match(text):
        return ()
    listed = read_list(without_speech(text), "questions")
    if listed is not None:
        return _questions([text_of(entry) for entry in listed])
    bare = _ARRAY.sub("", without_speech(_FENCE.sub("", text)))
    lines = [line for line in bare.splitlines() if re.search(r"\w", line) and not _is_heading(line)]
    marked = [line for line in lines if _BULLET.match(line.replace("**", ""))]
    marked = marked or [line for line in lines if _LABEL.match(line.replace("**", ""))]
    ended = all(_ENDED.search(line) and not _REFUSES.match(line) for line in lines)
    chosen = marked or (lines if ended else _between_questions(lines))
    found = [line for line in chosen if not _ASIDE.match(line) and not line.rstrip("*_ ").endswith((":", "："))]
    if not found:
        raise _no_questions()
    return _questions(found)


def _questions(lines: Sequence[str]) -> tuple[str, ...]:
    """The questions of lines or of a list. Raises Unparsed when none of them has a word."""
    found = [line for line in map(bare_line, lines) if re.search(r"\w", line)]
    if all(_NONE.fullmatch(line) for line in found) and (found or not lines):
        return ()
    if not found:
        raise _no_questions()
    return tuple(found)


def _no_questions() -> Unparsed:
    return Unparsed("no question lines in the answer", "回答中没有问题行")


def _is_heading(line: str) -> bool:
    """Whether a line names a kind of question, or is a bullet, and nothing else."""
    rest = bare_line(line)
    return not re.search(r"\w", rest) or bool(_HEADING.fullmatch(rest))


def _between_questions(lines: Sequence[str]) -> list[str]:
    """The lines that end with a question mark, and of those between them the ones that end with no mark."""
    asked = [place for place, line in enumerate(lines) if _ASKED.search(line)]
    between = range(asked[0], asked[-1]) if asked else ()
    return [line for place, line in enumerate(lines) if place in asked or (place in between and _OPEN.search(line))]


def parse_facts(text: str) -> tuple[Draft, ...]:
    """The QUOTE / FACT / ANSWER lines of an answer, in this order, or the same in JSON; incomplete triples are kept.

    A value may stand on the line below its tag, and a quote may go on over several lines until a blank one. "NONE"
    gives no drafts. Raises Unparsed when there is neither a complete triple nor NONE.
    """
    listed = read_list(without_speech(text), "facts")
    drafts = _fact_lines(text) if listed is None else [_fields(entry) for entry in listed]
    made = tuple(Draft(unquoted(quote), unquoted(fact), unquoted(answer)) for quote, fact, answer in drafts)
    made = tuple(draft for draft in made if _says_something(draft))
    if not any(draft.complete for draft in made):
        if not made and (drafts or listed == [] or _NONE.match(text)):
            return ()
        raise _incomplete(made)
    return made


def _fields(entry: object) -> list[str]:
    """The three values of a fact in JSON; empty ones where it lacks some."""
    values = ["", "", ""]
    for key, value in entry.items() if isinstance(entry, dict) else ():
        place = _FIELDS.get(str(key).casefold())
        if place is not None:
            values[place] = text_of(value)
    return values


def _fact_lines(text: str) -> list[list[str]]:
    """The values of the tagged lines, in threes."""
    drafts: list[list[str]] = []
    place = len(_FIELDS)
    open_value = False
    for line in text.splitlines():
        found = _TAG.match(line)
        if found:
            before, place = place, _FIELDS[found["tag"].casefold()]
            if place <= before or not drafts:
                drafts.append(["", "", ""])
            drafts[-1][place] = found["value"].strip()
            open_value = True
        elif not line.strip() or _FENCE.match(line):
            open_value = open_value and not drafts[-1][place]
        elif open_value and (place == 0 or not drafts[-1][place]):
            drafts[-1][place] = f"{drafts[-1][place]}\n{line.strip()}".strip()
    return drafts


def _incomplete(drafts: Sequence[Draft]) -> Unparsed:
    """What is wrong with lines of which no three tell a fact: the kinds that are nowhere, or that none stand together.

    There are few reasons, so that they can be counted.
    """
    if not drafts:
        return Unparsed("no QUOTE / FACT / ANSWER lines in the answer", "回答中没有“原文”“事实”“答案”三行")
    values = zip(*((draft.quote, draft.statement, draft.answer) for draft in drafts), strict=True)
    lacking = [tags for tags, some in zip(_TAGS, values, strict=True) if not any(some)]
    if not lacking:
        return Unparsed("no fact has its QUOTE, FACT and ANSWER lines together", "没有哪个事实写齐了三行")
    english, chinese = zip(*lacking, strict=True)
    return Unparsed(f"no {' or '.join(english)} lines in the answer", f"回答中没有“{'”“'.join(chinese)}”行")


def says_none(text: str) -> bool:
    """Whether a model says that there is nothing to write: "NONE", 无, "No such facts."."""
    return _NONE.match(text) is not None


def _says_something(draft: Draft) -> bool:
    values = [value for value in (draft.quote, draft.statement, draft.answer) if value]
    return bool(values) and not all(_NONE.fullmatch(value) for value in values)


def without_speech(text: str) -> str:
    """The text without what chat models begin with ("Sure! Here are six questions:", 好的，以下是问题：)."""
    while match := _SPEECH.match(text):
        text = text[match.end() :]
    return text


def without_label(text: str) -> str:
    """The text without what chat models begin with, "Answer:" included, bold or not."""
    rest = without_speech(text)
    label = _ANSWER_LABEL.match(rest)
    return rest[label.end() :] if label else rest


def bare_line(line: str) -> str:
    """A list item's text: no bullet, number, label of its kind, emphasis or quotation marks around it."""
    rest = line.replace("**", "").strip()
    for pattern in (_BULLET, _BULLET, _LABEL):
        match = pattern.match(rest)
        rest = rest[match.end() :] if match else rest
    return unquoted(rest)


def unquoted(text: str) -> str:
    """The text without bold marks, and without quotation marks that open at its beginning and close at its end."""
    rest = text.replace("**", "").strip()
    if rest[:1] in _QUOTES:
        rest = rest.rstrip(",， ")
    while len(rest) > 1 and _QUOTES.get(rest[0]) == rest[-1] and not {rest[0], rest[-1]} & set(rest[1:-1]):
        rest = rest[1:-1].strip()
    return rest
