"""Numbers with units, and the numerals they are written in."""

from decimal import Decimal

import pytest

from kb.text.canonical import Quantity, quantities
from kb.text.numerals import han_value


def read(text):
    return [
        (str(one.value.normalize() + 0) if one.value % 1 else str(int(one.value)), one.unit) for one in quantities(text)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "30,000,000", "30000000", "３０００００００", "3000万", "3000 万", "三千万", "3千万", "0.3亿", "30 million",
        "30m users", "thirty million", "30 000 000", "叁仟万",
    ],
)  # fmt: skip
def test_thirty_million(text):
    """All the ways to write thirty million are one value."""
    assert [one.value for one in quantities(text)] == [Decimal(30_000_000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("十", 10), ("十二", 12), ("二十", 20), ("两百", 200), ("一百零五", 105), ("一百二", 120),
        ("三千零一十", 3010), ("三万五", 35000), ("三万零五", 30005), ("一亿两千万", 120_000_000),
        ("1.2亿", 120_000_000), ("1亿2000万", 120_000_000), ("三万亿", 3 * 10**12), ("二〇二四", 2024), ("廿五", 25),
        ("贰佰", 200), ("三点一四", "3.14"), ("三点五万", 35000), ("0万", 0), ("千万", 10**7), ("三五", None),
        ("七八十", None),
    ],
)  # fmt: skip
def test_han_value(text, expected):
    """Han numerals and mixtures have their value, approximations have none."""
    assert han_value(text) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3,420 employees", [("3420", "person")]), ("3420名员工", [("3420", "person")]),
        ("3420人", [("3420", "person")]), ("756 million crowns", [("756000000", "crown")]),
        ("4500万元", [("45000000", "yuan")]), ("18万元", [("180000", "yuan")]), ("349克朗", [("349", "crown")]),
        ("913克", [("913", "gram")]), ("2克拉", [("2", "carat")]), ("34小时", [("34", "hour")]),
        ("34-hour battery", [("34", "hour")]), ("thirty-four hours", [("34", "hour")]),
        ("33 years", [("33", "year")]), ("15年", [("15", "year")]), ("39天", [("39", "day")]),
        ("3个月", [("3", "month")]), ("10个工作日", [("10", "working_day")]), ("百分之五", [("5", "%")]),
        ("5 percent", [("5", "%")]), ("5个百分点", [("5", "point")]), ("千分之三", [("0.3", "%")]),
        ("￥3,000", [("3000", "yuan")]), ("人民币3000万", [("30000000", "yuan")]),
        ("US$1.5 billion", [("1500000000", "dollar")]), ("€30m", [("30000000", "euro")]),
        ("HK$349", [("349", "hk_dollar")]), ("349 Canadian dollars", [("349", "canadian dollars")]),
        ("30k", [("30000", "")]), ("30 m", [("30", "metre")]), ("5千米", [("5000", "metre")]),
        ("1500 km/h", [("1500", "km/h")]), ("半小时", [("0.5", "hour")]), ("两个半小时", [("2.5", "hour")]),
        ("三年半", [("3.5", "year")]), ("two and a half years", [("2.5", "year")]), ("3½ hours", [("3.5", "hour")]),
        ("half an hour", [("0.5", "hour")]), ("3小时30分钟", [("210", "minute")]),
        ("1 year and 6 months", [("18", "month")]), ("34 or 36 hours", [("34", "hour"), ("36", "hour")]),
        ("34-36 hours", [("34", "hour"), ("36", "hour")]), ("3到5万元", [("30000", "yuan"), ("50000", "yuan")]),
        ("three to five years", [("3", "year"), ("5", "year")]), ("5%-10%", [("5", "%"), ("10", "%")]),
        ("$1,000-2,000", [("1000", "dollar"), ("2000", "")]), ("-5℃", [("-5", "celsius")]),
        ("零下5度", [("-5", "degree")]), (".5 hours", [("0.5", "hour")]), ("12 widgets", [("12", "widget")]),
        ("12把椅子", [("12", "把")]), ("12个", [("12", "item")]), ("In 1998, 3,420 employees", [("3420", "person")]),
        ("一次充电34小时", [("1", "time"), ("34", "hour")]),
    ],
)  # fmt: skip
def test_quantities(text, expected):
    """Value and canonical unit, in both languages."""
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "TM-5580", "B-620", "7166-YC", "1989/57", "v2.1.3", "COVID-19", "H200", "14:30", "1/2", "1998年3月12日",
        "12 March 1998", "2024年2月30日", "第3条", "1st", "几十小时", "数百人", "3000多万元", "20余人", "十几天",
        "一两年", "一起", "one of them", "三亚", "千万不要", "三分之一", "in the 1990s", "10²", "5G",
        "https://a.b/34", "0755-123", "",
    ],
)  # fmt: skip
def test_not_quantities(text):
    """Codes, dates, ordinals, approximations and words that contain numerals give nothing."""
    assert quantities(text) == []


def test_base_converts_what_has_one_factor():
    """Kilograms become grams and years months; days stay days and currencies stay themselves."""
    assert Quantity(Decimal("0.913"), "kg").base == (Decimal("913.000"), "gram")
    assert Quantity(Decimal(2), "year").base == (Decimal(24), "month")
    assert Quantity(Decimal(2), "day").base == (Decimal(2), "day")
    assert Quantity(Decimal(2), "widget").base == (Decimal(2), "widget")
    assert Quantity(Decimal(48), "hour").base[1] != Quantity(Decimal(2), "day").base[1]


def test_rates_keep_what_they_are_per():
    """3000元/月 and "23 days a year" know the unit after the stroke."""
    assert quantities("3000元/月") == [Quantity(Decimal(3000), "yuan", "month")]
    assert quantities("23 days a year") == [Quantity(Decimal(23), "day", "year")]


def test_money_is_known_by_its_unit():
    """Crowns and 元 are money, grams are not."""
    assert [one.is_money for text in ("349 crowns", "349元", "349 grams") for one in quantities(text)] == [
        True,
        True,
        False,
    ]
