"""What type an answer has, judged by its form."""

from __future__ import annotations

import re

from kb.text.canonical import canonical
from kb.text.characters import HAN, any_of, plain
from kb.text.dates import dates_only, find_dates
from kb.text.listing import items_of
from kb.text.quantities import find_quantities
from kb.text.terms import count_tokens

ANSWER_TYPES = ("number", "money", "date", "code", "name", "place", "category", "list", "text")
"""All types that answers are compared by."""

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟"
    "姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戚莫孔向汤常温康施文牛樊"
    "葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单裴霍成苗盛曲翁骆"
)
_COMPOUND = "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|端木|独孤|南宫|宇文|长孙|澹台|轩辕|百里|西门"
_CHINESE_NAME = re.compile(
    rf"(?:(?:{_COMPOUND})[{HAN}]{{1,2}}|[{_SURNAMES}][{HAN}]{{1,2}}|[{HAN}]{{1,6}}(?:·[{HAN}]{{1,8}}){{1,3}})"
)
_CHINESE_PLACE = re.compile(rf"[{HAN}]{{1,10}}(?:省|市|县|区|镇|乡|村|州|岛|路|街|湾|河|山|大道|自治区)")
_ENGLISH_PLACE = re.compile(
    ".+ "
    + any_of(
        "City|Town|Village|County|Province|District|Street|Road|Avenue|Square|Cross|Green|Ferry",
        "Island|River|Lake|Bay|Hill|Falls|Valley",
    ),
    re.DOTALL,
)
_CAPITAL = r"[A-ZÀ-Þ][\w'.-]*"
_ENGLISH_NAME = re.compile(
    rf"(?:(?:Mr|Mrs|Ms|Dr|Prof)\.? )?{_CAPITAL}(?: (?:van|von|de|der|la|di|da|bin|al))?(?: {_CAPITAL}){{1,3}}"
)
_CODE = re.compile(r"(?=\S*[0-9])(?=\S*[-/._#]|\S*[A-Za-z])[A-Za-z0-9#(〔\[][A-Za-z0-9._/#()〔〕\[\]-]*")
_LONGEST_CATEGORY = 8


def answer_type(answer: str) -> str:
    """The type in `ANSWER_TYPES` that an answer looks like; "text" where nothing more can be seen.

    date: dates and nothing else ("1998" alone is one where 1900 <= year < 2100). money and number: one number with its
    unit, with or without a currency. code: one run with digits among letters or strokes ("TM-5580", "1989/57",
    "v2.1"). place and name: by their endings, capitals and Chinese surnames, so a guess: both are compared in the same
    way. list: several of them (`listing.items_of`). category: up to eight tokens in small letters or Han.
    """
    text = plain(answer).strip().rstrip(".,。!").rstrip()
    if dates_only(text):
        years = [one.date.year for one in find_dates(text)]
        return "date" if not text.isdigit() or all(year and 1900 <= year < 2100 for year in years) else "number"
    found = find_quantities(text)
    if found and not re.search(r"\w", text[: found[0].start] + text[found[-1].end :]):
        return "money" if found[0].quantity.is_money else "number"
    if _CODE.fullmatch(text):
        return "code"
    if items_of(text):
        return "list"
    if _CHINESE_PLACE.fullmatch(text) or _ENGLISH_PLACE.fullmatch(text):
        return "place"
    if _CHINESE_NAME.fullmatch(text) or _ENGLISH_NAME.fullmatch(text):
        return "name"
    short = canonical(text) != "" and count_tokens(text) <= _LONGEST_CATEGORY and not re.search(r"[.!?。！？]", text)
    return "category" if short else "text"
