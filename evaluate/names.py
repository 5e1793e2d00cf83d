"""Names of what only reports show in both languages: the scorer's rules, and what a report was made from."""

from __future__ import annotations

from kb.evaluate.following import BROKEN
from kb.evaluate.results import Text
from kb.evaluate.scorers import NO_ANSWER

RULES = {
    "exact": "完全一致",
    "contained": "含有答案",
    "yes_no": "是非一致",
    "value": "数值一致",
    "values": "各数值一致",
    "value_without_unit": "数值一致，未写单位",
    "date": "日期一致",
    "dates": "各日期一致",
    "time": "时间一致",
    "code": "编号一致",
    "items": "各项一致",
    "refusal": "拒答",
    "followed": "已遵循",
    "answered": "本应拒答却作答",
    "no_value": "没有给出值",
    "other_value": "另一个值",
    "other_unit": "另一个单位",
    "other_date": "另一个日期",
    "less_precise": "精度不足",
    "incomplete": "不完整",
    "bound_only": "只有一端",
    "competing_values": "多个值并存",
    "negated": "被否定",
    "taken_back": "说出又收回",
    "part_of_other": "属于另一个名称",
    "too_long": "过长",
    "empty": "空回答",
    "thinking": "只有思考过程",
    "judge": "由裁判判定",
    "not confident": "没有把握",
    "cut off at the token limit": "达到 Token 上限而截断",
}
"""Chinese names of the rules by which an answer is scored; `rule` in answers.jsonl is the English one."""

PROVENANCE = {
    "kb": "kb 版本",
    "model": "模型",
    "base identity": "原模型标识",
    "4-bit NF4": "4 位 NF4 量化",
    "retrieval": "检索",
    "top_k": "检索段落数（top_k）",
    "prompts": "提示词",
    "settings": "设置",
    "tag": "标记",
    "run": "训练",
    "tuned identity": "微调模型标识",
    "training data": "训练数据",
    "documents": "文档",
    "facts at training": "训练时的事实数",
    "sharpened by": "后续方法",
    "probes": "题数",
    "rings": "遗忘环",
    "scored again": "重新评分",
}
"""Chinese names of what a report was made from."""

_BEGUN = {NO_ANSWER: "没有回答：", BROKEN: "未遵循："}
"""Rules that end in a reason, or in the constraint that is broken."""


def rule_name(rule: str) -> Text:
    """A rule in both languages; one that is not known is its own name."""
    for begun, zh in _BEGUN.items():
        if rule.startswith(begun):
            return Text(rule, zh + rule.removeprefix(begun))
    return Text(rule, RULES.get(rule, rule))


def provenance_name(key: str) -> Text:
    """A line of the provenance in both languages."""
    return Text(key, PROVENANCE.get(key, key))
