"""Made-up evaluations: probes and scores as `kb eval` stores them, half English, half Chinese, any number of facts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kb.llm import Request
from kb.records import Chunk, Document, Fact, Probe, Question, Score, make_id
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever
from kb.store import Store
from kb.workspace import Workspace

RATES = {"base": 0.04, "rag": 0.76, "tuned": 0.83, "tuned_rag": 0.9, "oracle": 0.96}
RING_RATES = {"known": (0.97, 0.78), "reading": (0.9, 0.86), "never": (0.96, 0.55)}
APART_RATES = {
    "text_only": (0.05, 0.75, 0.3, 0.8), "placebo": (0.05, 0.75, 0.06, 0.76), "reversed": (0.02, 0.7, 0.4, 0.8),
    "cross_lingual": (0.04, 0.6, 0.55, 0.7),
}  # fmt: skip
"""Of base, RAG, tuned and tuned+RAG."""
NAMES = ("Tulvao Core", "Brinvale Gate", "Ostrel Lamp", "Kemsin Pump", "Varodun Lock")
NAMES_ZH = ("图尔沃芯片", "布林闸门", "欧斯特灯", "肯辛水泵", "瓦罗锁")
ASKED = {
    "number": ("How many units of {} are made each year?", "{}每年生产多少台？"),
    "money": ("What does {} cost?", "{}的售价是多少？"),
    "date": ("When was {} released?", "{}是何时发布的？"),
    "code": ("What is the part number of {}?", "{}的零件编号是什么？"),
    "name": ("Who designed {}?", "{}是谁设计的？"),
}
GOLD = {
    "number": ("{0},400", "{0}万台"),
    "money": ("${0}.50", "{0}元"),
    "date": ("14 March 20{0}", "20{0}年3月14日"),
    "code": ("TX-{0}", "TX-{0}"),
    "name": ("Mara Ellin {0}", "林若安{0}"),
}
LEAD = ("", "Please tell me: ", "Quick question. ", "In short: ", "For the record, ")
LEAD_ZH = ("", "请问，", "我想知道，", "简单说，", "核实一下，")


@dataclass(frozen=True)
class Sample:
    """What `summarise` takes."""

    probes: list[Probe]
    scores: list[Score]
    statements: dict[str, str]
    documents: dict[str, str]


def _answer(gold: str, verdict: str, chinese: bool, number: int) -> str:
    if verdict == "correct":
        return gold or ("文档中没有提到。" if chinese else "The documents do not say.")
    if verdict == "abstained":
        return "我不知道。" if chinese else "I don't know."
    if verdict == "unparsed":
        return "" if number % 2 else "<think>"
    return f"大约{number}吨" if chinese else f"about {number} tonnes"


def _score(chance: random.Random, probe: Probe, arm: str, rate: float, number: int) -> Score:
    """An answer: right with this rate, else mostly wrong; a closed-book base declines instead."""
    kinds = ("abstained", "wrong", "unparsed")
    weights = (85, 14, 1) if arm == "base" else (12, 86, 2)
    verdict = "correct" if chance.random() < rate else chance.choices(kinds, weights)[0]
    if not probe.gold and verdict == "abstained":
        verdict = "correct"
    rules = {"correct": f"typed: {probe.answer_type}", "wrong": "no match", "abstained": "refusal", "unparsed": "empty"}
    shown = tuple(f"chk_{number % 40 + step:016x}" for step in range(3)) if "rag" in arm else ()
    tokens, seconds = (720, 0.61) if "rag" in arm else (64, 0.12)
    answer = _answer(probe.gold, verdict, probe.language == "zh", number)
    return Score(probe.id, arm, answer, verdict, rules[verdict], shown, tokens + number % 9, seconds)


def make_sample(facts: int = 300, wordings: int = 5, arms: Sequence[str] = tuple(RATES), rings: bool = True) -> Sample:
    """An evaluation of `facts` facts with `wordings` held-out wordings each, with all other kinds of probe."""
    chance = random.Random(7)
    sample = Sample([], [], {}, {})
    for number in range(facts):
        chinese, kind = bool(number % 2), tuple(ASKED)[number % 5]
        fact, language, skill = f"fct_{number:016x}", "zh" if chinese else "en", chance.gauss(0, 0.22)
        name = f"{(NAMES_ZH if chinese else NAMES)[number % 5]} {number}"
        question, gold = ASKED[kind][chinese].format(name), GOLD[kind][chinese].format(10 + number % 89)
        sample.statements[fact] = f"{name}：{gold}。" if chinese else f"{name}: {gold}."
        sample.documents[fact] = f"产品手册 {number % 6 + 1}" if chinese else f"Handbook {number % 6 + 1}"
        for wording in range(wordings + 1):
            asked = "held_out" if wording < wordings else "trained"
            text = (LEAD_ZH if chinese else LEAD)[wording % 5] + question
            probe = Probe(f"prb_{number:06d}_{wording}", fact, asked, text, gold, kind, language)
            sample.probes.append(probe)
            for arm in arms:
                rate = RATES.get(arm, 0.5) + skill * (arm != "base") + 0.08 * (asked == "trained")
                if asked == "held_out" or arm in ("base", "tuned"):
                    sample.scores.append(_score(chance, probe, arm, rate, number))
        if number % 3 == 0:
            near = Probe(f"prb_n{number:06d}", fact, "near_miss", question + "?", "", "text", language)
            _add_negative(chance, sample, near, arms)
        if number % 5 == 0:
            blank = Probe(f"prb_u{number:06d}", "", "unanswerable", f"({number}) {question}", "", "text", language)
            _add_negative(chance, sample, blank, arms)
    if rings:
        _add_rings(chance, sample, arms)
        _add_apart(chance, sample, arms)
    return sample


def _add_negative(chance: random.Random, sample: Sample, probe: Probe, arms: Sequence[str]) -> None:
    sample.probes.append(probe)
    for arm in arms:
        if arm != "oracle":
            rate = 0.95 if arm == "base" else 0.45
            sample.scores.append(_score(chance, probe, arm, rate, len(sample.probes)))


def _add_rings(chance: random.Random, sample: Sample, arms: Sequence[str]) -> None:
    for ring, rates in RING_RATES.items():
        for number in range(60):
            gold = "" if ring == "never" else f"{number}"
            probe = Probe(
                f"prb_{ring}_{number}", f"clu_{ring}_{number}", ring, f"{ring} {number}?", gold, "number", "en"
            )
            sample.probes.append(probe)
            for arm, rate in zip(("base", "tuned"), rates, strict=True):
                if arm in arms:
                    sample.scores.append(_score(chance, probe, arm, rate, number))


def _add_apart(chance: random.Random, sample: Sample, arms: Sequence[str]) -> None:
    """Twenty facts of each kind that is measured apart, three probes each, in both languages."""
    for kind, rates in APART_RATES.items():
        for number in range(60):
            language, fact = ("en", "zh")[number % 2], f"fct_{kind}_{number // 3}"
            probe = Probe(f"prb_{kind}_{number:02d}", fact, kind, f"{kind} {number}?", f"{number}", "number", language)
            sample.probes.append(probe)
            for arm, rate in zip(("base", "rag", "tuned", "tuned_rag"), rates, strict=True):
                if arm in arms:
                    sample.scores.append(_score(chance, probe, arm, rate, number))


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """The maker of made-up evaluations."""
    return make_sample


HANDMADE = (
    ("Tulvao Core costs 349 crowns.", "349 crowns", "money", "What does Tulvao Core cost?"),
    ("Mara Ellin designed the Brinvale Gate.", "Mara Ellin", "name", "Who designed the Brinvale Gate?"),
    ("图尔沃芯片的售价是210元。", "210元", "money", "图尔沃芯片卖多少钱？"),
    ("布林闸门由林若安设计。", "林若安", "name", "布林闸门是谁设计的？"),
)
"""Statement, answer, its type, and a question for each fact of the handmade workspace."""


@dataclass(frozen=True)
class Handmade:
    """A workspace with four facts, one chunk each, in two documents; two trained and three held-out wordings a fact."""

    workspace: Workspace
    facts: list[Fact]
    golds: dict[str, str]
    """Every answerable question to its answer."""

    def retriever(self, **settings: int) -> Retriever:
        """BM25 over the chunks."""
        return open_retriever(self.workspace, RetrievalConfig(embedder="none", **settings))

    def script(self, known: Sequence[str] = ()) -> Callable[[Request], str]:
        """A model that reads what it is shown, knows these answers by heart, and declines everything else."""

        def answer(request: Request) -> str:
            shown, _, question = request.messages[-1].content.rpartition("\n")
            question = question.removeprefix("Question: ").removeprefix("问题：")
            gold = self.golds.get(question, "")
            if gold and (gold in shown or gold in known):
                return gold
            return "I don't know." if question.isascii() else "不知道。"

        return answer


def make_question(fact: Fact, split: str, text: str, kind: str = "answerable", fact_id: str | None = None) -> Question:
    """A question about a fact, or with an empty `fact_id` about its chunk."""
    owner = fact.id if fact_id is None else fact_id
    id = make_id("qst", owner, fact.chunk_id, split, kind, text)
    return Question(id, fact.chunk_id, owner, kind, split, text, fact.language, "p#1")


def _book(store: Store, number: int, language: str) -> list[Fact]:
    """A document with two chunks, a fact in each."""
    rows = HANDMADE[2 * number : 2 * number + 2]
    text = "\n\n".join(statement for statement, *_ in rows)
    name = f"Book {number}"
    store.put([Document(f"doc_{number}", f"/docs/{number}.md", f"sha{number}", "md", name, language, text)])
    facts = []
    for ordinal, (statement, gold, kind, _) in enumerate(rows):
        start = text.index(statement)
        span = (start, start + len(statement))
        chunk = Chunk(f"chk_{number}{ordinal}", f"doc_{number}", ordinal, statement, name, language, *span)
        facts.append(
            Fact(make_id("fct", statement), chunk.id, statement, gold, kind, statement, *span, language=language)
        )
        store.put([chunk, facts[-1]])
    return facts


@pytest.fixture
def handmade(tmp_path: Path) -> Handmade:
    """A small workspace to evaluate: besides the facts two near misses and an unanswerable question."""
    workspace = Workspace(tmp_path / ".kb", create=True)
    facts = [*_book(workspace.store, 0, "en"), *_book(workspace.store, 1, "zh")]
    golds = {}
    for fact, (_, gold, _, question) in zip(facts, HANDMADE, strict=True):
        for at, lead in enumerate(LEAD if fact.language == "en" else LEAD_ZH):
            workspace.store.put([make_question(fact, "train" if at < 2 else "probe", lead + question)])
            golds[lead + question] = gold
    workspace.store.put(
        [
            make_question(facts[0], "probe", "What does Tulvao Gore cost?", "near_miss"),
            make_question(facts[0], "train", "What does Tulvao Tore cost?", "near_miss"),
            make_question(facts[2], "probe", "图尔沃芯片有几种颜色？", "unanswerable", fact_id=""),
        ]
    )
    return Handmade(workspace, facts, golds)
