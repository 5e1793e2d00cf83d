"""Questions that want details, and long answers: what is kept of them, and how they are trained."""

from dataclasses import replace

import pytest

from kb.errors import Unparsed
from kb.evaluate.probes import document_probes
from kb.finetune.config import TrainConfig
from kb.finetune.data import closed_rows, reading_rows
from kb.finetune.preference import training_questions as sampled
from kb.llm.fake import FakeLLM
from kb.lookup import look_up
from kb.prompt import Prompts
from kb.qa_gen.detailed import check_detailed_answer, make_detailed, parse_detailed
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.quality import measure_quality
from kb.qa_gen.rows import trained_rows
from kb.qa_gen.selection import Choice
from kb.records import Chunk, Fact, QAPair, Question

CODE = "def charge(volts):\n    if volts > 240:\n        raise Overload\n\n    return volts * 2"
EN = f"""The Tulvao Core is opened in three steps. First pull the lever at the back. Then turn the key TM-5580 to the
left. Lift the lid only after 20 seconds. The warranty ends on 3 May 2027 unless the seal is broken.

| model | price | weight |
|---|---|---|
| Core | 1,200 crowns | 3.5 kg |
| Mini | 800 crowns | 2 kg |

```python
{CODE}
```
"""
ZH = """赤水阀门的检修分三步：先关闭进水口，再用扳手K-20松开阀盖，最后更换密封圈。
密封圈每二十四个月更换一次，2027年5月3日之前免费。停水超过3小时须报告值班长张伟。

| 型号 | 售价 | 重量 |
|---|---|---|
| 甲型 | 3000元 | 35公斤 |
| 乙型 | 2000元 | 18公斤 |
"""
ASKED = {"en": "How is the Tulvao Core opened?", "zh": "赤水阀门如何检修？"}
GOOD = {
    "en": [
        "The Tulvao Core is opened as follows:\n\n1. Pull the lever at the back.\n2. Turn the key TM-5580 to the left."
        "\n3. Lift the lid, but **only after 20 seconds**.",
        "The following table compares the models of the Tulvao Core:\n\n| model | price | weight |\n|---|---|---|\n"
        "| Core | 1,200 crowns | 3.5 kg |\n| **Mini** | 800 crowns | 2 kg |",
        "The Tulvao Core models weigh:\n\n| weight | model |\n|:--|--:|\n| 2 kg | Mini |\n| 3.5 kg | Core |",
        "|  | Mini | Core |\n|---|---|---|\n| price | 800 crowns | 1,200 crowns |\n| weight | 2 kg | 3.5 kg |\n\n"
        "The Tulvao Core has a warranty that ends on May 3, 2027 unless the seal is broken.",
        f"The Tulvao Core is charged by this code:\n\n```python\n{CODE}\n```\n\nAbove 240 volts it raises Overload.",
        "The code:\n\n```\nif volts > 240:\n    raise Overload\n```",
        "## Opening And Warranty\n\n- **Waiting Time:** the lid of the Tulvao Core is lifted after 20 seconds.\n"
        "- Warranty End: the warranty ends on Monday, 3 May 2027, unless the seal is broken.",
        "The lid of the Tulvao Core may be lifted only after 20 seconds, and the warranty ends in May 2027, unless the"
        " seal is broken.",
    ],
    "zh": [
        "赤水阀门的检修步骤如下：\n\n1. 关闭进水口；\n2. 用扳手K-20松开阀盖；\n3. 更换密封圈，密封圈每24个月更换一次。",
        "赤水阀门各型号如下表所示：\n\n| 型号 | 售价 | 重量 |\n|---|---|---|\n| 甲型 | 3000元 | 35公斤 |\n"
        "| 乙型 | 2000元 | 18公斤 |",
        "**停水超过3小时**须报告值班长张伟。2027年5月3日之前免费更换密封圈。",
        "以下步骤适用于赤水阀门：\n- 先关闭进水口\n- 再用扳手K-20松开阀盖",
    ],
}  # fmt: skip
FIGURE, DATE, CODED, NAME, COPY, ROW = (
    f"answer has {what} that the passage lacks"
    for what in ("a figure", "a date", "a code", "a name", "code", "a table row")
)
LONG = "answer is longer than the passage allows"
BAD = [
    ("en", "I don't know.", "answer is a refusal"),
    ("zh", "我不知道。", "answer is a refusal"),
    ("en", "I don't know.\n\nThe Tulvao Core may be opened with the key TM-5580.", "answer is a refusal"),
    ("en", "To open the Tulvao Core:\n\n1. Pull the lever at the back.\n2. Turn the key TM-5580,", "answer is cut off"),
    ("en", f"The code of the Tulvao Core:\n\n```python\n{CODE}", "answer is cut off"),
    ("en", "The models of the Tulvao Core:\n\n| model | price |\n|---|---|\n| Core | 1,200 cr", "answer is cut off"),
    ("zh", "赤水阀门的检修：\n1. 关闭进水口；\n2. 用扳手K-20松开阀盖，", "answer is cut off"),
    ("zh", "赤水阀门的检修步骤如下：", "answer is cut off"),
    ("en", "According to the passage, the Tulvao Core is opened with the key TM-5580.", "answer does not stand alone"),
    ("en", "The table shows the weight of the Tulvao Core, which is 3.5 kg.", "answer does not stand alone"),
    ("zh", "根据本文，赤水阀门的检修须用扳手K-20松开阀盖。", "answer does not stand alone"),
    ("zh", "如上表所示，甲型赤水阀门的售价为3000元，重35公斤。", "answer does not stand alone"),
    ("en", GOOD["zh"][0], "answer in another language"),
    ("zh", GOOD["en"][0], "answer in another language"),
    ("en", " ".join(["The Tulvao Core is opened with the key TM-5580."] * 30), LONG),
    ("en", "Lift the lid of the Tulvao Core only after 25 seconds.", FIGURE),
    ("en", "The Mini of the Tulvao Core weighs 4 kg and costs 800 crowns.", FIGURE),
    ("en", "Wait five minutes before you lift the lid of the Tulvao Core.", FIGURE),
    ("zh", "赤水阀门的密封圈每三十六个月更换一次。", FIGURE),
    ("zh", "赤水阀门停水超过5小时须报告值班长张伟。", FIGURE),
    ("en", "The warranty of the Tulvao Core ends on 5 May 2027.", DATE),
    ("en", "The warranty of the Tulvao Core ends on 3 March 2027.", DATE),
    ("zh", "赤水阀门的密封圈在2027年3月5日之前免费更换。", DATE),
    ("en", "Turn the key TN-5580 of the Tulvao Core to the left.", CODED),
    ("zh", "用扳手X-20松开赤水阀门的阀盖，再更换密封圈。", CODED),
    ("en", "The seal of the Tulvao Core was designed by Mara Ellin in steps.", NAME),
    ("en", "1. Pull the lever of the Tulvao Mega.\n2. Turn the key TM-5580 to the left.", NAME),
    ("zh", "用扳手K-20松开赤水阀门的阀盖，再涂上Loctite胶。", NAME),
    (
        "en",
        f"The Tulvao Core is charged so:\n\n```python\n{CODE.replace('Overload', 'Failure')}\n```",
        COPY,
    ),
    (
        "en",
        "The Tulvao Core is charged so:\n\n```python\ndef charge(volts):\n    # ...\n    return volts * 2\n```",
        COPY,
    ),
    (
        "en",
        "The Tulvao Core is charged so:\n\n```\nif volts > 240:\nraise Overload\n```",
        COPY,
    ),
    (
        "en",
        "| model | price | weight |\n|---|---|---|\n| Core | 800 crowns | 3.5 kg |\n| Mini | 1,200 crowns | 2 kg |",
        ROW,
    ),
    (
        "en",
        "| model | weight | price |\n|---|---|---|\n| Core | 1,200 crowns | 3.5 kg |\n| Mini | 800 crowns | 2 kg |",
        ROW,
    ),
    (
        "en",
        "| model | price |\n|---|---|\n| Core | 1,200 crowns |\n| Maxi | 800 crowns |",
        ROW,
    ),
    (
        "zh",
        "| 型号 | 售价 | 重量 |\n|---|---|---|\n| 甲型 | 2000元 | 35公斤 |\n| 丙型 | 3000元 | 18公斤 |",
        ROW,
    ),
    ("en", "The Tulvao Core is opened with great care by people who know how.", "answer says nothing of the passage"),
    ("zh", "赤水阀门的检修应当由专业人员认真完成。", "answer says nothing of the passage"),
]  # fmt: skip


@pytest.fixture
def told(make_chunk, make_fact):
    """The passage of a language with two facts."""

    def make(language):
        chunk = make_chunk(*((EN, "en", "Tulvao > Core") if language == "en" else (ZH, "zh", "赤水阀门 > 检修")))
        answers = {"en": ("TM-5580", "20 seconds"), "zh": ("K-20", "二十四个月")}[language]
        facts = [make_fact(f"{answer}: {chunk.text}", answer, chunk.text, language, chunk.id) for answer in answers]
        return replace(chunk, tokens=150), facts

    return make


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, texts in GOOD.items() for text in texts])
def test_answers_that_keep_the_details(told, language, text):
    """Steps, tables in part and turned round, code in part, dates and figures written otherwise, and their lead-ins."""
    chunk, facts = told(language)
    assert check_detailed_answer(text, ASKED[language], chunk, facts).reason == ""


@pytest.mark.parametrize(("language", "text", "reason"), BAD)
def test_what_an_answer_may_not_do(told, language, text, reason):
    """Decline, break off, point at the passage, change the language, ramble, invent, mix up rows, or say nothing."""
    chunk, facts = told(language)
    assert check_detailed_answer(text, ASKED[language], chunk, facts).reason == reason


def test_a_table_of_a_passage_without_one_has_the_passages_words(make_chunk, make_fact):
    """Made of sentences it may be; what stands below the header stands in them."""
    chunk = make_chunk("The Core costs 1,200 crowns and is blue. The Mini costs 800 crowns and is red.")
    facts = [make_fact(f"It costs {price}.", price) for price in ("1,200 crowns", "800 crowns")]
    table = "| model | price in shops |\n|---|---|\n| Core | 1,200 crowns |\n| Mini | {} |"
    kept, dropped = (
        check_detailed_answer(table.format(cell), "How do the models of Tulvao differ?", chunk, facts)
        for cell in ("800 crowns", "not sold")
    )
    assert kept.keep
    assert dropped.reason == "answer has a table row that the passage lacks"


def test_a_fact_that_texts_alone_teach_is_not_told(told):
    """Else it would be taught by an answer too, and the two could not be told apart."""
    chunk, facts = told("en")
    facts[0] = replace(facts[0], taught="text")
    verdicts = [
        check_detailed_answer(text, ASKED["en"], chunk, facts).reason for text in (GOOD["en"][0], GOOD["en"][-1])
    ]
    assert verdicts == ["answer tells what only texts teach", ""]


@pytest.mark.parametrize(
    ("language", "passage", "statements", "text", "kept"),
    [
        ("zh", "李四的导师是王五，职务是水管工。", {"王五": "李四的导师是王五。", "水管工": "李四的职务是水管工。"},
         "- 李四的导师是王五。\n- 李四的职务是{}。", ("水管工", "高级水管工", "木匠")),
        ("en", "Turan is led by Ann Bo and sells ceramic tiles.",
         {"Ann Bo": "Turan is led by Ann Bo.", "ceramic tiles": "What Turan sells is ceramic tiles."},
         "- Turan is led by Ann Bo.\n- What Turan sells is {}.",
         ("ceramic tiles", "mainly ceramic tiles", "wooden pipes")),
        ("en", "Turan has an office in Porto and an office in Lisbon.",
         {"Porto": "Turan has an office in Porto.", "Lisbon": "Turan has an office in Lisbon."},
         "Turan has an office in Porto, and Turan has an office in {}.", ("Lisbon", "Porto and Lisbon", "the hills")),
    ],
)  # fmt: skip
def test_a_fact_told_otherwise(make_chunk, make_fact, language, passage, statements, text, kept):
    """A value that no figure or capital shows to be wrong: the statement begins as the fact's and ends otherwise."""
    chunk = make_chunk(passage, language)
    facts = [make_fact(statement, answer, passage, language) for answer, statement in statements.items()]
    reasons = [check_detailed_answer(text.format(value), "?", chunk, facts).reason for value in kept]
    assert reasons == ["", "", "answer contradicts a fact"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Sure! Here is the answer:\n\n1. **Pull** it.\n2. Turn it.", "1. **Pull** it.\n2. Turn it."),
        ("**Answer:** Pull it.\n\n```sh\nls -l\n```", "Pull it.\n\n```sh\nls -l\n```"),
        ("```markdown\n# Steps\n\n| a | b |\n|---|---|\n| 1 | 2 |\n```", "# Steps\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        ("````md\nSo:\n```\nls\n```\n````", "So:\n```\nls\n```"),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
        ("好的，完整回答：\n1. 关闭进水口\n\n希望以上内容对您有帮助！", "1. 关闭进水口"),
        ("Pull it.\n\nLet me know if you need anything else.", "Pull it."),
        ("如有疑问，请联系人事部。", "如有疑问，请联系人事部。"),
    ],
)
def test_markdown_stays_and_talk_goes(reply, answer):
    """Bold, tables and blocks of code are the answer's; a block of Markdown around all of it is not."""
    assert parse_detailed(reply) == answer


@pytest.mark.parametrize("reply", ["", "```markdown\n\n```", "**Answer:** …"])
def test_no_answer_at_all(reply):
    """It is asked again."""
    with pytest.raises(Unparsed, match="no answer"):
        parse_detailed(reply)


def script(questions, answers):
    """A model with these questions, and an answer to each."""
    return lambda request: next(
        (text for asked, text in answers.items() if request.messages[-1].content.endswith(asked)),
        "\n".join(f"- {text}" for text in questions),
    )


def test_questions_are_asked_and_answered_in_two_calls(make_bench, told):
    """Each kept question with its answer in Markdown, in a training question of no fact."""
    chunk, facts = told("en")
    bench = make_bench(script([ASKED["en"], "How do the models of Tulvao differ?"], {
        ASKED["en"]: GOOD["en"][0], "How do the models of Tulvao differ?": "I don't know.",
    }), [chunk])  # fmt: skip
    ((question, answer),) = make_detailed(bench, facts, [], [chunk])
    assert answer == GOOD["en"][0]
    assert (question.kind, question.split, question.fact_id, question.answer) == ("detailed", "train", "", "")
    assert (question.text, question.open, question.chunk_id) == (ASKED["en"], False, chunk.id)
    assert [reject.reason for reject in bench.rejects] == ["answer is a refusal"]
    shown = bench.llm.history[1].messages[-1].content
    assert "\n\n    return volts" in shown, "code keeps its blank lines"


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("en", "How is it opened?", "question does not stand alone"),
        ("en", "赤水阀门如何检修？", "question in another language"),
        ("zh", "How is the 赤水 opened?", "question in another language"),
        ("en", "What does the table say about the Tulvao Core?", "question does not stand alone"),
        ("zh", "请详细说明该公司的检修流程。", "question does not stand alone"),
        ("en", "With what key is the Tulvao Core opened?", "asked already"),
        ("en", "Which key fits the Tulvao Core, please?", "too close to a held-out wording"),
        ("zh", "请问松开赤水阀门的阀盖用哪一把扳手？", "too close to a held-out wording"),
    ],
)
def test_questions_that_are_not_kept(make_bench, told, language, text, reason):
    """Of another kind, or what a fact is asked by, for training or for probing."""
    chunk, facts = told(language)
    wordings = {
        "en": ("With what key is the Tulvao Core opened?", "Which key fits the Tulvao Core?"),
        "zh": ("赤水阀门的阀盖用什么工具松开？", "松开赤水阀门的阀盖用哪一把扳手？"),
    }[language]
    asked = [
        Question(f"q{split}", chunk.id, facts[0].id, "answerable", split, wording, language, "p")
        for split, wording in zip(("train", "probe"), wordings, strict=True)
    ]
    bench = make_bench(script([text], {}), [chunk])
    assert make_detailed(bench, facts, asked, [chunk]) == []
    assert [(reject.step, reject.reason, reject.detail) for reject in bench.rejects] == [("detailed", reason, text)]


def test_what_another_place_states_is_held_out_here_too(make_bench, told, make_chunk, make_fact):
    """A fact's probes are about all passages that state it."""
    chunk, facts = told("en")
    other = make_fact("The key of the Tulvao Core is TM-5580.", "TM-5580", chunk_id="chk_2")
    bench = make_bench(script(["Which key fits the Tulvao Core, please?"], {}), [chunk])
    bench.say_again(other, facts[0])
    probe = Question("q", "chk_2", other.id, "answerable", "probe", "Which key fits the Tulvao Core?", "en", "p")
    assert make_detailed(bench, [other, facts[1]], [probe], [chunk, make_chunk("key", number=2)]) == []
    assert "too close to a held-out wording" in {reject.reason for reject in bench.rejects}


def test_no_details_of_what_is_never_taught(make_bench, told, make_chunk):
    """Nor of a chunk without a fact, nor of any when the setting is 0."""
    chunk, facts = told("en")
    never = [facts[0], replace(facts[1], taught="never")]
    for bench, own in ((make_bench(str, [chunk]), never), (make_bench(str, [chunk], detailed=0), facts)):
        assert make_detailed(bench, own, [], [chunk, make_chunk("A cover.", number=3)]) == []
        assert bench.llm.history == []


@pytest.mark.slow
def test_a_whole_run_with_details(make_world_in):
    """Stored, exported and trained under a prompt of their own; never probed, read, or sampled; gone with a setting."""
    world = make_world_in()
    report = world.generate(detailed=2)
    store = world.workspace.store
    questions = store.all(Question, "kind = 'detailed'")
    pairs = store.all(QAPair, "form = 'detailed'")
    assert report.detailed == len(questions) == len(pairs) > 5
    assert {question.language for question in questions} == {"en", "zh"}
    assert {(question.split, question.fact_id) for question in questions} == {("train", "")}
    assert report.rejected == {}
    assert f"{len(pairs)} of them with a detailed answer" in "\n".join(report.lines())
    assert measure_quality(store, Meaning(None, store)).forms["detailed"] == len(pairs)

    rows = {row.source: row for row in closed_rows(store, Prompts(), TrainConfig(wordings=1))}
    asked = {row.id: row for row in trained_rows(store, Prompts()).sft}
    for pair in pairs:
        assert (rows[pair.id].answer, rows[pair.id].kind) == (pair.answer, "detailed")
        assert rows[pair.id].messages == asked[pair.id].chat
        assert ("every detail" in asked[pair.id].system) or ("每一个细节" in asked[pair.id].system)
    assert not {question.text for question in questions} & {probe.question for probe in document_probes(store, 5, 0)}
    ids = {question.id for question in questions}
    reading = reading_rows(store, Prompts(), world.retriever(), TrainConfig(reading_share=1.0))
    assert reading
    assert not ids & {row.source for row in reading}
    assert not ids & {question.id for question in sampled(store, {fact.id: fact for fact in store.all(Fact)})}

    found = look_up(store, questions[0].id)
    assert [link.kind for link in found.down] == ["QA pair (detailed)"]
    assert found.span == store.get(Chunk, questions[0].chunk_id).text
    above = look_up(store, questions[0].chunk_id)
    assert "train question (detailed)" in {link.kind for link in above.down if link.id == questions[0].id}
    assert look_up(store, pairs[0].id).kind == "QA pair"
    world.generate(detailed=0)
    assert store.all(Question, "kind = 'detailed'") == []


@pytest.mark.slow
def test_details_of_documents_that_were_not_asked_stay(world):
    """Another model for one document leaves the other's as they are; a second run asks nothing."""
    world.generate(detailed=2)
    store = world.workspace.store
    first, second = [row["id"] for row in store.sql("SELECT id FROM documents ORDER BY rowid")]

    def rows(document):
        return store.sql(
            "SELECT p.id, p.answer FROM qa_pairs p JOIN questions q ON q.id = p.question_id JOIN chunks c"
            " ON c.id = q.chunk_id WHERE p.form = 'detailed' AND c.document_id = ? ORDER BY p.id", document
        )  # fmt: skip

    before = {id: [tuple(row) for row in rows(id)] for id in (first, second)}
    assert before[first]
    assert before[second]
    again = world.generate(world.llm(lambda request: pytest.fail("asked again")), detailed=2)
    assert again.calls == 0
    world.generate(FakeLLM(world.oracle, "another model"), Choice((first,)), detailed=2)
    assert {id: [tuple(row) for row in rows(id)] for id in (first, second)} == before


@pytest.mark.slow
def test_a_failed_answer_is_asked_again_and_nothing_else(world):
    """It is on record as of its step; the next run has the whole set."""
    doomed = []

    def script(request):
        if "Keep every detail" in request.messages[0].content:
            doomed.append(request.messages)
        return "" if request.messages in doomed[:1] else world.oracle(request)

    report = world.generate(world.llm(script), detailed=2)
    assert report.failed == {"detailed answers: no answer in the reply": 1}
    again = world.generate(choice=Choice(failed=True), detailed=2)
    assert (again.failed, again.calls, again.detailed) == ({}, 1, report.detailed + 1)
