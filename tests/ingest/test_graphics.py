"""Charts, as PowerPoint and Word keep them."""

import datetime

import pptx
import pytest
from lxml import etree
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from kb.ingest.graphics import chart_blocks

pytestmark = pytest.mark.slow
"""python-docx and python-pptx take a hundredth of a second for a file: too long for the unit suite."""

BOX = (Inches(1), Inches(2), Inches(4), Inches(1))


@pytest.fixture
def chart():
    """A function that makes a chart of its data."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])

    def make(data, kind=XL_CHART_TYPE.COLUMN_CLUSTERED):
        return slide.shapes.add_chart(kind, *BOX, data).chart

    return make


def read(chart):
    """What kb makes of a chart."""
    return [(block.kind, block.text) for block in chart_blocks(etree.fromstring(chart.part.blob))]


def series(categories, **values):
    """Data of a chart; each series has its number format."""
    data = CategoryChartData()
    data.categories = categories
    for name, (form, numbers) in values.items():
        data.add_series(name, numbers, form)
    return data


def test_title_categories_and_series(chart):
    """The title, then a table: the axis and the series at its head, a row for each category, gaps left empty."""
    made = chart(series(["一季度", "Q2"], 销量=("General", (4.3, None)), cost=("0.0%", (0.125, 1))))
    made.has_title = True
    made.chart_title.text_frame.text = "销售 2024"
    made.category_axis.has_title = True
    made.category_axis.axis_title.text_frame.text = "季度"
    assert read(made) == [
        ("paragraph", "销售 2024"),
        ("table", "| 季度 | 销量 | cost |\n| --- | --- | --- |\n| 一季度 | 4.3 | 12.5% |\n| Q2 |  | 100% |"),
    ]


def test_codes_are_no_numbers(chart):
    """A category that was typed as text stays as it was typed."""
    made = chart(series(["007", "inf", "1e3"], v=("General", (1, 2, 3))))
    assert [line.split(" | ")[0] for line in read(made)[0][1].split("\n")[2:]] == ["| 007", "| inf", "| 1e3"]


@pytest.mark.parametrize(
    ("form", "text"),
    [("yyyy-mm-dd", "2024-03-01"), ('m"月"d"日"', "2024-03-01"), ('0.0" mg/dl"', "45352"), ("mm:ss", "45352")],
)
def test_which_formats_are_dates(chart, form, text):
    """A format with a month and a day or year; what stands in quotes in it is a unit."""
    assert read(chart(series(["a"], v=(form, (45352,)))))[0][1].endswith(f"| a | {text} |")


def test_dates_and_rounding(chart):
    """Days of the sheet's calendar, of which there are two, are dates; a value is written as short as it was typed."""
    made = chart(series([datetime.date(2024, 3, 1)], v=("General", (0.1 + 0.2,))))
    assert read(made) == [("table", "|  | v |\n| --- | --- |\n| 2024-03-01 | 0.3 |")]
    for setting in made._chartSpace.iter("{*}date1904"):
        setting.set("val", "1")
    assert "| 2028-03-02 |" in read(made)[0][1]


def test_categories_of_two_levels(chart):
    """An outer level stands before each category that it spans."""
    data = CategoryChartData()
    for year in ("2023", "2024"):
        outer = data.add_category(year)
        outer.add_sub_category("上半年")
        outer.add_sub_category("H2")
    data.add_series("v", (1, 2, 3, 4))
    assert read(chart(data))[0][1].split("\n")[2:] == [
        "| 2023 上半年 | 1 |", "| 2023 H2 | 2 |", "| 2024 上半年 | 3 |", "| 2024 H2 | 4 |",
    ]  # fmt: skip


def test_points_of_a_scatter_chart(chart):
    """Series with other places along the axis are tables of their own."""
    data = XyChartData()
    for name, points in (("重量", ((1, 2), (3, 4))), ("b", ((5, 6),))):
        one = data.add_series(name)
        for point in points:
            one.add_data_point(*point)
    assert [text for _, text in read(chart(data, XL_CHART_TYPE.XY_SCATTER))] == [
        "|  | 重量 |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |",
        "|  | b |\n| --- | --- |\n| 5 | 6 |",
    ]
