"""Refusals in both languages, and answers that only look like them."""

import pytest

from kb.text.refusal import is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.", "I don’t know", "unknown", "Unknown.", "N/A", "I'm not sure.",
        "Sorry, I do not know the price of Birna Duo.", "The documents do not mention it.", "Not in the documents.",
        "No information available.", "It cannot be determined.",
        "The passage doesn't say how many employees Turan Works had in 2024.", "As of 2024, the price is unknown.",
        "The headcount is not specified.", "We don't have enough information to answer.",
        "I don't know, but you can ask the front desk.",
        "The passages only mention the price (349 crowns). The battery life is not given.", "我不知道。", "不知道",
        "无法确定", "文中未提及", "资料中没有相关信息。", "根据所给资料，无法确定2024年的注册资本。",
        "抱歉，我不清楚。", "该信息未知", "资料只提到了售价349元，没有说明续航时间。", "很抱歉，文档没有说明。",
        "创始人是谁，资料中没有提到。", "尚不清楚",
    ],
)  # fmt: skip
def test_refusals(text):
    """A text that declines to answer is a refusal, also when it repeats the question's values."""
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "34 hours", "", "   ", "none", "no", "没有", "无", "0", "The Unknown Warrior",
        "I don't know exactly, but it should be 34 hours.", "I'm not sure, perhaps Anna Backdale.",
        "I don't know. It was Anna Backdale.", "34 hours, but I am not sure",
        "The founder is Anna Backdale, although it is not mentioned in passage 1.", "Breakfast is not included.",
        "Employees who do not know the code must call the desk.", "No refunds are given after 30 days.",
        "不知道，34小时", "不确定，可能是5000万元", "我不知道，但可能是王伟", "34小时，不确定", "运费未包含",
        "员工不知道密码时应致电前台", "不锈钢", "未来科技公司", "创始人是欧阳国业，但资料未提及年份。",
    ],
)  # fmt: skip
def test_answers(text):
    """An answer stays one beside a hedge, and words of refusal in another sense are none."""
    assert not is_refusal(text)
