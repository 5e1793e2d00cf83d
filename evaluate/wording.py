"""How numbers and names are written, in both languages, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from kb.evaluate.beside import Judging
from kb.evaluate.results import Comparison, Report, Text
from kb.evaluate.stats import Interval

ARMS = {
    "base": Text("base", "原模型"),
    "rag": Text("RAG", "RAG"),
    "sft": Text("SFT alone", "仅 SFT"),
    "tuned": Text("tuned", "微调"),
    "tuned_rag": Text("tuned+RAG", "微调+RAG"),
    "hybrid": Text("hybrid", "混合"),
    "oracle": Text("oracle", "标准段落"),
    "tuned_oracle": Text("tuned+oracle", "微调+标准段落"),
    "wrong": Text("wrong passage", "错误段落"),
    "tuned_wrong": Text("tuned+wrong", "微调+错误段落"),
    "control": Text("control", "对照"),
}
"""Short names for tables."""

NAMES = {
    "base": Text("the base model", "原模型"),
    "rag": Text("RAG", "RAG"),
    "sft": Text("the model after SFT alone", "只做 SFT 的模型"),
    "tuned": Text("the tuned model", "微调模型"),
    "tuned_rag": Text("tuned+RAG", "微调+RAG"),
    "hybrid": Text("the hybrid (by heart where sure, else from passages)", "混合方式（有把握时闭卷，否则检索）"),
    "oracle": Text("the base model with the right passage", "给出标准段落的原模型"),
    "tuned_oracle": Text("the tuned model with the right passage", "给出标准段落的微调模型"),
    "wrong": Text("the base model with a wrong passage", "给出错误段落的原模型"),
    "tuned_wrong": Text("the tuned model with a wrong passage", "给出错误段落的微调模型"),
    "control": Text("the control (tuned on other documents)", "对照（用其他文档微调）"),
}
"""Names for sentences."""

RINGS = {
    "known": Text("world facts", "世界知识"),
    "reading": Text("reading a given passage", "阅读给定段落"),
    "never": Text("declining what it never saw", "对从未见过的内容拒答"),
    "near_miss": Text("declining near misses", "对相近陷阱问题拒答"),
    "unanswerable": Text("declining the unanswerable", "对无答案问题拒答"),
    "following": Text("following instructions", "遵循指令"),
}

UNTAUGHT = {
    "text_only": Text("same documents", "同一批文档"),
    "placebo": Text("other documents", "其他文档"),
    "known": Text("world facts", "世界知识"),
}
"""The rings of facts that no question taught."""

VERDICTS = {
    "correct": Text("correct", "正确"),
    "wrong": Text("wrong", "错误"),
    "abstained": Text("abstained", "拒答"),
    "unparsed": Text("unparsed", "无法解析"),
}

DIMENSIONS = {
    "language": Text("Language", "语言"),
    "answer_type": Text("Answer type", "答案类型"),
    "known": Text("Known before", "训练前掌握"),
    "document": Text("Document", "文档"),
}

KINDS = {
    "held_out": Text("held-out wording", "留出问法"),
    "trained": Text("trained wording", "训练问法"),
    "near_miss": Text("near miss", "相近陷阱"),
    "unanswerable": Text("unanswerable", "无答案"),
    "known": Text("world fact", "世界知识"),
    "reading": Text("reading", "阅读"),
    "never": Text("never seen", "从未见过"),
    "text_only": Text("text only", "仅有文本"),
    "placebo": Text("placebo", "安慰剂"),
    "reversed": Text("reversed", "反向提问"),
    "cross_lingual": Text("cross-lingual", "跨语言"),
    "following": Text("instruction", "指令"),
}

APART = {
    "text_only": Text(
        "Facts that the trained texts state and no trained question asks for. The nearer to the held-out wordings, the"
        " more is learned from prose alone.",
        "训练文本中写到、却没有训练问题问过的事实。越接近留出问法，说明仅靠文本学到的越多。",
    ),
    "placebo": Text(
        "Facts of documents that are probed and never trained. Good is what the base has: whatever the tuned model has"
        " above it is no knowledge of these documents.",
        "来自只评测、从不训练的文档的事实。与原模型持平为好：微调模型高出的部分并不是对这些文档的掌握。",
    ),
    "reversed": Text(
        "The answer is given, and what it belongs to is asked. Near the held-out wordings, the fact is known from its"
        " other end too.",
        "给出答案，反问它属于什么。接近留出问法，说明从另一端也掌握这些事实。",
    ),
    "cross_lingual": Text(
        "Asked in the language that the document is not written in. Near the held-out wordings, the fact is known in"
        " both.",
        "用文档之外的另一种语言提问。接近留出问法，说明在两种语言中都掌握。",
    ),
}
"""What a kind that is measured apart means, and what a good value is."""

SLICES = Text(
    "An asterisk: the arm knows another share of these facts than of all others, also beside all lines of the table"
    " (Fisher's test, Benjamini-Hochberg at 5%).",
    "星号：在同时看表中所有行的情况下，该组对这些事实的掌握比例仍与其余事实不同"
    "（Fisher 检验，Benjamini-Hochberg，5%）。",
)
SHRUNKEN = Text(
    "Shares of documents are drawn towards that of all documents, the more the fewer facts they have; in brackets the"
    " share as counted.",
    "各文档的比例已向全部文档的比例收缩，事实越少收缩越多；括号内为直接计数的比例。",
)
"""How the slices are to be read."""

TAUGHT = {
    "questions": Text("by questions", "用问题训练"),
    "text": Text("by texts alone", "仅用文本训练"),
    "never": Text("never (placebo)", "从不训练（安慰剂）"),
}

LANGUAGES = {"en": Text("English", "英文"), "zh": Text("Chinese", "中文")}

TYPES = {
    "number": Text("number", "数字"),
    "money": Text("money", "金额"),
    "date": Text("date", "日期"),
    "code": Text("code", "编号"),
    "name": Text("name", "名称"),
    "place": Text("place", "地点"),
    "category": Text("category", "类别"),
    "list": Text("list", "列表"),
    "text": Text("text", "文本"),
}


FINDINGS = {
    "question_defect": Text("question defect", "题目有误"),
    "retrieval_defect": Text("retrieval defect", "检索失误"),
    "under_trained": Text("under-trained", "训练不足"),
    "phrasing_overfit": Text("phrasing overfit", "只记问法"),
    "unstable": Text("unstable", "不稳定"),
    "reversed_fails": Text("reversed fails", "反向不会"),
    "ignores_context": Text("ignores context", "无视上下文"),
    "near_miss_answered": Text("near miss answered", "误答陷阱题"),
    "learnt": Text("learnt", "已学会"),
}

CURES = {
    "question_defect": Text(
        "wrong with the right passage too: mend or drop the question (kb show ID)",
        "给出标准段落也答错：修改或删除题目（kb show ID）",
    ),
    "retrieval_defect": Text(
        "right with the right passage only: another embedder, more passages",
        "只有给出标准段落才答对：换嵌入模型或增加段落数",
    ),
    "under_trained": Text(
        "wrong as it was trained: more wordings*, more epochs, a higher rank",
        "训练过的问法也答错：增加问法*、轮数或秩",
    ),
    "phrasing_overfit": Text("right as it was trained alone: more wordings*", "只有训练过的问法答对：增加问法*"),
    "unstable": Text(
        "right in most wordings, not in all: more wordings*, or leave it to RAG",
        "多数问法答对，但不是全部：增加问法*，或交给 RAG",
    ),
    "reversed_fails": Text(
        "right forwards, wrong backwards: more reversed questions*", "正问答对，反问答错：增加反向题*"
    ),
    "ignores_context": Text(
        "tuned, it is wrong with the right passage: more [train] reading_share",
        "微调后给出标准段落也答错：提高 [train] reading_share",
    ),
    "near_miss_answered": Text("answers what only looks like it: more near misses*", "误答形似的问题：增加陷阱题*"),
    "learnt": Text("every wording right: nothing", "所有问法都答对：无需处理"),
}
"""What to do about a finding."""
CURED = Text("*: kb generate-qa --for-failures", "*：kb generate-qa --for-failures")
"""What makes what CURES marks."""
CURED_BY_ROWS = frozenset(name for name, text in CURES.items() if "*" in text.en)


LEVELS = {
    "unknown": Text("unknown", "未掌握"),
    "maybe": Text("maybe", "部分掌握"),
    "known": Text("known", "已掌握"),
}
"""How well the base knew a fact before training."""


def named(table: dict[str, Text], key: str) -> Text:
    """The two names of a key; a key of its own making (another arm, another type) is its own name."""
    return table.get(key, Text(key, key))


def percent(share: float) -> str:
    """0.617 as 61.7%."""
    return f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """0.125 as +12.5, -0.002 as -0.2; what rounds to zero has no sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def percent_range(interval: Interval) -> str:
    """The bounds of a share, [56.6, 66.4]."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def points_range(interval: Interval) -> str:
    """The bounds of a difference, [+7.8, +17.3]."""
    return f"[{points(interval.low)}, {points(interval.high)}]"


def ratio(interval: Interval) -> str:
    """A ratio with its interval, 0.83 [0.78, 0.88]."""
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def ratios(report: Report) -> list[tuple[Text, Text]]:
    """Label and value of the ratios that the evaluated arms allow; one that is refused says why."""
    refused = Text("not given: less than 30 points to compare with", "不给出：可比的不足 30 个百分点")
    lines = []
    for against, found in (("rag", report.retention), ("oracle", report.retention_oracle)):
        if report.arm("tuned") and report.arm(against):
            name = named(ARMS, against)
            label = Text(f"Retention, tuned / {name.en}", f"保留率，微调 / {name.zh}")
            lines.append((label, Text(ratio(found), ratio(found)) if found else refused))
    if report.headroom and report.arm("tuned") and report.arm("rag"):
        gain, count = report.gain_retention, report.headroom
        label = Text(
            f"Gain kept, (tuned - base) / (RAG - base), {count} facts new to the base",
            f"增益保留率，（微调 - 原模型）/（RAG - 原模型），原模型不掌握的 {count} 个事实",
        )
        lines.append((label, Text(ratio(gain), ratio(gain)) if gain else refused))
    return lines


def p_value(p: float) -> str:
    """p<.001, p=.012; never p=.000."""
    return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("0.", ".")


def size(difference: float) -> str:
    """How large a difference is, in points without a sign: -0.125 as 12.5."""
    return f"{abs(100 * difference):.1f}"


def pair(one: Comparison) -> str:
    """The two arms of a comparison, `tuned - RAG`."""
    return f"{named(ARMS, one.arm).en} - {named(ARMS, one.against).en}"


def pair_zh(one: Comparison) -> str:
    """The same in Chinese, `微调 - RAG`."""
    return f"{named(ARMS, one.arm).zh} - {named(ARMS, one.against).zh}"


def sentence(name: str) -> str:
    """A name as a sentence begins with it."""
    return name[:1].upper() + name[1:]


def heading(report: Report) -> str:
    """What was evaluated, on how much, in one line: not shortened."""
    wordings = report.probes / report.facts if report.facts else 0.0
    mix = " ".join(f"{language} {100 * share:.0f}%" for language, share in report.languages.items())
    parts = [f"kb eval {report.name}", f"{report.facts} facts x {wordings:.3g} wordings", mix, f"seed {report.seed}"]
    return "   ".join(part for part in [*parts, report.created] if part)


def judge_said(judging: Judging) -> Text:
    """Who judged what no rule could, how good it is, and what came of it."""
    kinds = ", ".join(f"{one.kind} {one.agreed}/{one.cases}" for one in judging.known)
    named_zh = {"gold": "标准答案", "hedge": "含糊回答", "other": "他题答案"}
    kinds_zh = "，".join(f"{named_zh[one.kind]} {one.agreed}/{one.cases}" for one in judging.known)
    kappa = ratio(judging.kappa) if judging.kappa else "-"
    en = f"judge {judging.judge}: kappa {kappa} on known cases ({kinds})"
    zh = f"裁判 {judging.judge}：已知样例上 kappa {kappa}（{kinds_zh}）"
    if judging.people:
        en += f", {ratio(judging.people)} on {judging.labels} labels of people"
        zh += f"，{judging.labels} 条人工标注上 {ratio(judging.people)}"
    if not judging.used:
        return Text(f"{en}; not good enough (below 0.6), so it decided nothing", f"{zh}；低于 0.6，未采用")
    decided = ", ".join(f"{count} {verdict}" for verdict, count in judging.decided.items()) or "none"
    decided_zh = "，".join(f"{VERDICTS[verdict].zh} {count}" for verdict, count in judging.decided.items()) or "无"
    return Text(
        f"{en}; asked about {judging.asked} answers that no rule decided: {decided}",
        f"{zh}；询问了规则无法判定的 {judging.asked} 个回答：{decided_zh}",
    )
