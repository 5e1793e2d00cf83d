"""Units of measurement, counting and money, with their words in English and Chinese.

A unit has one canonical name and, where converting is safe, a base that it is a multiple of. Safe is what has one
factor everywhere: grams and kilograms, hours and minutes, months and years. Not safe, and so never equal: hours and
days (is a day a working day?), months and days, any two currencies, KB and KiB.
"""

from __future__ import annotations

import re
from decimal import Decimal

from kb.text.characters import any_of, word_set

# canonical name, base, multiple of the base, words (English ones with a word boundary, Chinese ones as they stand)
_TABLE = """
second       | second  | 1          | seconds second secs sec s 秒钟 秒
minute       | second  | 60         | minutes minute mins min 分钟
hour         | second  | 3600       | hours hour hrs hr h 小时 钟头
day          | day     | 1          | days day 天 日 昼夜
week         | day     | 7          | weeks week wks wk 星期 周 礼拜
month        | month   | 1          | months month 月
quarter      | month   | 3          | 季度
year         | month   | 12         | years year yrs yr 周年 年头 年
decade       | month   | 120        | decades decade
working_day  | working_day | 1      | working_days working_day business_days business_day workdays workday 工作日
mg           | gram    | 0.001      | milligrams milligram mg 毫克
gram         | gram    | 1          | grams gram grammes gramme g 克
kg           | gram    | 1000       | kilograms kilogram kilos kilo kgs kg 公斤 千克
jin          | gram    | 500        | 市斤 斤
tonne        | gram    | 1000000    | tonnes tonne t 公吨 吨
ton          | ton     | 1          | tons ton
pound_weight | pound_weight | 1     | lbs lb 磅
ounce        | ounce   | 1          | ounces ounce oz 盎司
carat        | carat   | 1          | carats carat 克拉
mm           | mm      | 1          | millimetres millimetre millimeters millimeter mm 毫米
cm           | mm      | 10         | centimetres centimetre centimeters centimeter cm 厘米 公分
metre        | mm      | 1000       | metres metre meters meter m 公尺 米
li           | mm      | 500000     | 华里 里
km           | mm      | 1000000    | kilometres kilometre kilometers kilometer km 公里
inch         | inch    | 1          | inches inch 英寸
foot         | inch    | 12         | feet foot ft 英尺
mile         | mile    | 1          | miles mile mi 英里
m2           | m2      | 1          | square_metres square_metre square_meters square_meter sq_m m2 平方米 平米
km2          | m2      | 1000000    | square_kilometres square_kilometers km2 平方公里
hectare      | m2      | 10000      | hectares hectare ha 公顷
mu           | mu      | 1          | 亩
acre         | acre    | 1          | acres acre 英亩
ml           | ml      | 1          | millilitres millilitre milliliters milliliter ml 毫升
litre        | ml      | 1000       | litres litre liters liter l 公升 升
m3           | ml      | 1000000    | cubic_metres cubic_metre cubic_meters cubic_meter m3 立方米
km/h         | km/h    | 1          | km/h kmh kph kilometres_per_hour 公里/小时 公里每小时 千米/小时
m/s          | m/s     | 1          | m/s metres_per_second meters_per_second 米/秒 米每秒
watt         | watt    | 1          | watts watt w 瓦特 瓦
kw           | watt    | 1000       | kilowatts kilowatt kw 千瓦
mw           | watt    | 1000000    | megawatts megawatt 兆瓦
kwh          | kwh     | 1          | kilowatt_hours kilowatt-hours kwh 千瓦时 度电
volt         | volt    | 1          | volts volt v 伏特 伏
mah          | mah     | 1          | milliampere_hours mah 毫安时
hz           | hz      | 1          | hertz hz 赫兹
khz          | hz      | 1000       | kilohertz khz 千赫
mhz          | hz      | 1000000    | megahertz mhz 兆赫
ghz          | hz      | 1000000000 | gigahertz ghz 吉赫
byte         | byte    | 1          | bytes byte 字节
kb           | kb      | 1          | kilobytes kb
mb           | mb      | 1          | megabytes mb 兆字节
gb           | gb      | 1          | gigabytes gb
tb           | tb      | 1          | terabytes tb
kcal         | kcal    | 1          | kilocalories kcal 千卡 大卡
celsius      | celsius | 1          | degrees_celsius degrees_centigrade degree_celsius °c 摄氏度
fahrenheit   | fahrenheit | 1       | degrees_fahrenheit °f 华氏度
degree       | degree  | 1          | degrees degree ° 度
%            | %       | 1          | percent per_cent pct %
permille     | %       | 0.1        | per_mille ‰
point        | point   | 1          | percentage_points percentage_point 百分点
yuan         | yuan    | 1          | chinese_yuan yuan renminbi rmb cny 元人民币 人民币元 人民币 元整 元 圆 块钱 块
dollar       | dollar  | 1          | us_dollars us_dollar u.s._dollars american_dollars dollars dollar usd 美元 美金
hk_dollar    | hk_dollar | 1        | hong_kong_dollars hkd 港元 港币
euro         | euro    | 1          | euros euro eur 欧元
pound        | pound   | 1          | pounds pound gbp 英镑
yen          | yen     | 1          | japanese_yen yen jpy 日元 日圆
won          | won     | 1          | krw 韩元
crown        | crown   | 1          | crowns crown 克朗
franc        | franc   | 1          | swiss_francs francs franc chf 瑞士法郎 法郎
rouble       | rouble  | 1          | roubles rubles rouble ruble rub 卢布
rupee        | rupee   | 1          | rupees rupee inr 卢比
person       | person  | 1          | employees employee people persons person workers worker \
 staff_members staff_member members_of_staff staff colleagues headcount 员工 职工 雇员 职员 工人 人员 人 名 位 口人
person-time  | person-time | 1      | 人次
student      | student | 1          | students student 学生
user         | user    | 1          | users user 用户
customer     | customer | 1         | customers customer clients client 客户 顾客
company      | company | 1          | companies company firms firm 公司 企业 家
time         | time    | 1          | times 次
fold         | fold    | 1          | fold 倍
grade        | grade   | 1          | 年级
era          | era     | 1          | 年代
page         | page    | 1          | pages page 页
floor        | floor   | 1          | floors floor storeys stories 层 楼
room         | room    | 1          | rooms room 间
item         | item    | 1          | items item pieces piece units unit 个 件 台 套
vehicle      | vehicle | 1          | vehicles vehicle cars 辆
country      | country | 1          | countries country 国家
city         | city    | 1          | cities city 城市
"""

BASES: dict[str, tuple[str, Decimal]] = {}
"""Canonical unit to its base and how many of the base it is."""
_BY_WORD: dict[str, str] = {}
for _row in _TABLE.strip().splitlines():
    _name, _base, _multiple, _words = (part.strip() for part in _row.split("|"))
    BASES[_name] = (_base, Decimal(_multiple))
    _BY_WORD |= {_word.replace("_", " "): _name for _word in _words.split()}

CURRENCIES = word_set("yuan dollar hk_dollar euro pound yen won crown franc rouble rupee")
"""The units that make a quantity an amount of money."""

_SIGNS = {
    "¥": "yuan",
    "$": "dollar",
    "us$": "dollar",
    "hk$": "hk_dollar",
    "€": "euro",
    "£": "pound",
    "₩": "won",
    "₽": "rouble",
    "₹": "rupee",
}
_BITS = {"Mb": "megabit", "Gb": "gigabit", "Tb": "terabit"}
"""The only units whose case is heeded: 5 MB are not 5 Mb."""
_HAN_START = re.compile("[\u4e00-\u9fff]")
_LATIN = sorted((word for word in _BY_WORD if not _HAN_START.match(word)), key=len, reverse=True)
_CHINESE = sorted((word for word in _BY_WORD if _HAN_START.match(word)), key=len, reverse=True)
_ANY_LATIN = any_of(*(re.escape(word) for word in _LATIN))
_ADJECTIVES = any_of(
    "full-time|part-time|permanent|full|whole|total|paid|registered|current|entire|calendar",
    "consecutive|straight|long|different",
)
_LATIN_UNIT = re.compile(
    rf"[ -]?(?:{_ADJECTIVES} ){{0,2}}(?P<word>{_ANY_LATIN})(?![a-z0-9^])",
    re.IGNORECASE,
)
_SIGN_AFTER = re.compile(r"\s?(?P<word>us\$|hk\$|[¥$€£₩₽₹])", re.IGNORECASE)
_CHINESE_UNIT = re.compile(rf"\s?(?:[个名位](?={'|'.join(_CHINESE)}))?(?P<word>{'|'.join(_CHINESE)})")
_NOT_A_UNIT = re.compile(
    "G(?![A-Za-z])|块(?!钱)(?=[\u4e00-\u9fff])|名(?=[字称单])|位(?=[数于置])|人(?=[民均])|次(?=[日年月])|家(?=[里庭])|里(?=[面边头程外])"
)
_FUNCTION = any_of(
    "is|was|are|were|has|have|had|as|its|it|this|that|the|an?|and|or|but|in|of|on|at|to|by|for|from|with|who|which",
    "per|each|more|other|now|then|today|total|overall|altogether|approx|only|so|plus|minus|across|always|perhaps",
    "unless|versus|towards|thus|too|yes|no|not|if|than|when|while|since|until|after|before|exactly|years?|strong",
    "hundred|thousand|million|billion|trillion|dozen|point|percent",
)
_UNKNOWN_WORD = re.compile(
    rf" (?P<word>(?!{_FUNCTION}\b)[a-z]{{2,14}}(?:(?= ?[.,;)]| ?$)|[ -]{_ANY_LATIN}(?![a-z0-9])))",
    re.IGNORECASE,
)
_PLURAL = re.compile(rf" (?P<word>(?!{_FUNCTION}\b)[a-z]{{3,}}s)\b")
_BENIGN = "的了是在为和与或至到从由于以左上下内外前后及并而且也就都还则即等整许来起之中其吗呢吧啊这那可能不要有正型号"
_UNKNOWN_HAN = re.compile(rf"\s?(?P<word>(?![{_BENIGN}])[\u4e00-\u9fff])")
_PER = re.compile(
    rf"\s?(?:/|每|(?:per|an?|each|every) )\s?(?P<word>{'|'.join(re.escape(w) for w in [*_LATIN, *_CHINESE])})(?![a-z])",
    re.IGNORECASE,
)
_EVERY = re.compile("每个?(?P<word>小时|秒|分钟|天|日|周|月|季度|年)\\s?$")
_SPEEDS = {("km", "hour"): "km/h", ("metre", "second"): "m/s"}
_BEFORE = re.compile(
    r"(?P<word>[a-z]{1,2}\$|[¥$€£₩₽₹]|人民币|美元|欧元|英镑|日元|港币|\b(?:rmb|cny|usd|eur|gbp|jpy|hkd|chf)(?![a-z]))\s?$",
    re.IGNORECASE,
)


def unit_after(text: str, position: int, plurals: bool = True) -> tuple[str, int]:
    """The canonical unit of a number that ends at `position` of a plain text, and where the unit ends.

    ("", position) when none follows. An unknown English plural is a unit of its own in the singular ("12 widgets" is
    "widget"; not with `plurals` off), and so is an unknown Han measure word (12把 is "把"), so that counts of different
    things do not compare as equal.
    """
    for pattern in (_LATIN_UNIT, _SIGN_AFTER, _CHINESE_UNIT):
        match = pattern.match(text, position)
        if match and not _NOT_A_UNIT.match(text, match.start("word")):
            word = match["word"].casefold()
            return _BITS.get(match["word"]) or _BY_WORD.get(word) or _SIGNS[word], match.end()
    if plurals and (match := _PLURAL.match(text, position)):
        word = match["word"]
        return (word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")), match.end()
    if plurals and (match := _UNKNOWN_WORD.match(text, position)):
        return match["word"].casefold(), match.end()
    if match := _UNKNOWN_HAN.match(text, position):
        return match["word"], match.end()
    return "", position


def rate_before(text: str, position: int, unit: str) -> tuple[str, str]:
    """The unit and the rate of a quantity that ends before `position` of 每小时80公里 or 每月3000元: ("km/h", "") and
    ("yuan", "month"). The unit itself and "" where nothing of the sort stands before.
    """
    match = _EVERY.search(text, max(0, position - 8), position)
    if match is None:
        return unit, ""
    per = _BY_WORD[match["word"]]
    speed = _SPEEDS.get((unit, per), "")
    return (speed, "") if speed else (unit, per)


def unit_before(text: str, position: int) -> tuple[str, int]:
    """The currency sign or code before a number that starts at `position`, and where it starts; else ("", position)."""
    match = _BEFORE.search(text, max(0, position - 8), position)
    if match is None:
        return "", position
    word = match["word"].casefold()
    return _SIGNS.get(word) or _BY_WORD.get(word, word), match.start()


def per_after(text: str, position: int) -> tuple[str, int]:
    """The unit of a rate: "month" for "/月", "per month", "a month", 每月; ("", position) when there is none."""
    match = _PER.match(text, position)
    return (_BY_WORD[match["word"].casefold()], match.end()) if match else ("", position)
