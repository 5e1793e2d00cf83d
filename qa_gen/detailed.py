"""Questions that want a longer answer, and answers that keep a passage's details: steps, conditions, tables, code.

A fact's questions teach values one by one. What is asked for as a whole (how is it done, how do these differ, show the
table) is asked in a call, answered from the passage in a second one, and trained under a prompt of its own. There is no
short answer to such a question, so that it is never a probe.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from kb.errors import Unparsed
from kb.llm import Item
from kb.qa_gen.asking import Workbench, room
from kb.qa_gen.filters import check_open_question, in_language, states
from kb.qa_gen.grounding import FENCED, contradicts, is_cut, made_up, tables, without_code
from kb.qa_gen.leakage import LEAK, Wordings
from kb.qa_gen.replies import parse_lines, without_label
from kb.qa_gen.rewrites import ROOM
from kb.qa_gen.standalone import points_at_source
from kb.records import KEEP, Chunk, Fact, Question, Verdict, make_id
from kb.retrieval.hybrid import passage_text
from kb.text.canonical import canonical
from kb.text.refusal import is_refusal
from kb.text.terms import count_tokens

LONGEST = 2.0
"""Tokens of an answer for each of its passage, which names and whole sentences may take."""
LEAST_FACTS = 2
"""Facts of the chunk that an answer states, or else words of the passage."""
STRETCH = {"en": 32, "zh": 12}
"""Characters of the passage, in canonical form, that are words of it."""
_WHOLE = re.compile(
    r"\s*(?P<mark>`{3,})(?:markdown|md)[ \t]*\n(?P<inside>.*)\n[ \t]*(?P=mark)\s*", re.DOTALL | re.IGNORECASE
)
"""An answer that is wrapped as a block of Markdown."""
_CLOSING = re.compile(
    r"\n+\s*(?:let me know if|(?:i )?hope (?:this|that|it) (?:helps|answers)|(?:i )?hope this|feel free to"
    r"|希望(?:以上|这些?|对[您你])[^\n]*帮助)[^\n]*\s*$",
    re.IGNORECASE,
)
"""How chat models end: no part of an answer."""
_BLOCK = re.compile(r"\s*(?:[|>`~]|[-*+•]\s|[(（]?[0-9]{1,2}[.)、）])")
_LEADING = re.compile(
    r"\b(?:(?:as (?:shown|listed|given) )?in )?(?:the|this) (?:following )?(?:tables?|lists?|steps?|code|commands?)"
    r"(?: below)?\b|\bbelow\b|\bas follows\b"
    "|(?:如|见)?下表(?:所[示列])?|如下(?:所[示列])?|(?:以下|下面|下列|下述)(?:内容|步骤|表格|列表|代码|命令|信息)?",
    re.IGNORECASE,
)
"""How a line speaks of the table, list or code that stands below it in the answer itself."""


def make_detailed(
    bench: Workbench, facts: Sequence[Fact], asked: Sequence[Question], chunks: Sequence[Chunk]
) -> list[tuple[Question, str]]:
    """Questions with long answers about every chunk that has taught facts, none of those `asked` already.

    A chunk of which a fact is never taught gives none: the answer might tell it.
    """
    own: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        own[fact.chunk_id].append(fact)
    telling = {
        chunk.id: chunk for chunk in chunks if own[chunk.id] and all(fact.taught != "never" for fact in own[chunk.id])
    }
    return _answered(bench, _questions(bench, facts, asked, list(telling.values())), telling, own)


def _questions(
    bench: Workbench, facts: Sequence[Fact], asked: Sequence[Question], chunks: Sequence[Chunk]
) -> list[Question]:
    """The usable questions of the chunks."""
    count = bench.config.detailed
    if not count:
        return []
    prompts = [bench.prompt("detailed", chunk.language) for chunk in chunks]
    items = (
        bench.item(
            chunk.id, prompt, bench.request(prompt, 256, passage=passage_text(chunk), count=str(count)), "questions"
        )
        for chunk, prompt in zip(chunks, prompts, strict=True)
    )
    held_out = _held_out(bench, facts, asked)
    taken = {canonical(question.text) for question in asked}
    kept = []
    results = bench.ask("detailed", items, [chunk.id for chunk in chunks], parse_lines)
    for chunk, prompt, result in zip(chunks, prompts, results, strict=True):
        for text in (result.value or ())[:count]:
            verdict = check_detailed_question(text, chunk, held_out.get(chunk.id, ()), taken)
            if verdict.keep:
                taken.add(canonical(text))
                id = make_id("qst", chunk.id, "detailed", text)
                kept.append(Question(id, chunk.id, "", "detailed", "train", text, chunk.language, prompt.id))
            else:
                bench.reject("detailed", chunk.id, verdict.reason, text)
    return kept


def _held_out(bench: Workbench, facts: Sequence[Fact], asked: Sequence[Question]) -> Mapping[str, list[Wordings]]:
    """By chunk the held-out wordings of each fact that it states."""
    texts: dict[str, list[str]] = defaultdict(list)
    for question in asked:
        if question.split == "probe" and not question.open:
            texts[question.fact_id].append(question.text)
    places = [(fact.chunk_id, fact.id) for fact in facts]
    places += [(source.chunk_id, source.fact_id) for source in bench.sources_of(facts)]
    found: dict[str, list[Wordings]] = defaultdict(list)
    for chunk, fact in places:
        found[chunk].append(Wordings(tuple(texts[fact])))
    return found


def check_detailed_question(text: str, chunk: Chunk, held_out: Sequence[Wordings], taken: Collection[str]) -> Verdict:
    """A question stands alone, is in the chunk's language, asked by nobody else, and not near what is held out."""
    verdict = check_open_question(text, chunk.language, passage_text(chunk))
    if verdict.keep and canonical(text) in taken:
        return Verdict(False, "asked already")
    if verdict.keep and any(wordings.closeness(text) > LEAK for wordings in held_out):
        return Verdict(False, "too close to a held-out wording")
    return verdict


def _answered(
    bench: Workbench, questions: Sequence[Question], chunks: Mapping[str, Chunk], facts: Mapping[str, Sequence[Fact]]
) -> list[tuple[Question, str]]:
    """The questions to which the model gives an answer that can be kept."""

    def item(question: Question) -> Item:
        chunk = chunks[question.chunk_id]
        prompt = bench.prompt("detailed_answer", question.language)
        # With its blank lines, which code may have.
        fields = {"passage": f"{chunk.header}\n{chunk.text}", "question": question.text}
        return bench.item(question.id, prompt, bench.request(prompt, room(ROOM, LONGEST * chunk.tokens), **fields))

    kept = []
    results = bench.ask(
        "detailed answers", map(item, questions), [question.chunk_id for question in questions], parse_detailed
    )
    for question, result in zip(questions, results, strict=True):
        if result.value is None:
            continue
        own = facts[question.chunk_id]
        verdict = check_detailed_answer(result.value, question.text, chunks[question.chunk_id], own)
        if verdict.keep:
            kept.append((question, result.value))
        else:
            bench.reject("detailed answers", question.chunk_id, verdict.reason, f"{question.text} | {result.value}")
    return kept


def parse_detailed(text: str) -> str:
    """An answer in Markdown as it is, without what chat models put before, around and after it.

    Raises Unparsed when nothing is left.
    """
    rest = without_label(text)
    whole = _WHOLE.fullmatch(rest)
    rest = _CLOSING.sub("", whole["inside"] if whole else rest).strip()
    if not re.search(r"\w", rest):
        raise Unparsed("no answer in the reply", "回复中没有答案")
    return rest


def check_detailed_answer(text: str, question: str, chunk: Chunk, facts: Sequence[Fact]) -> Verdict:
    """An answer says what the passage says, all of it from there, alone, whole, and no more than there is.

    Facts that are taught in texts alone it may not state.
    """
    source = f"{chunk.header}\n{chunk.text}"
    said = without_code(text)
    invented = made_up(text, source)
    faults = (
        (is_refusal(said.strip().split("\n\n")[0]), "answer is a refusal"),
        (is_cut(text), "answer is cut off"),
        (points_at_source(_without_leads(said)), "answer does not stand alone"),
        (not in_language(said, chunk.language, source), "answer in another language"),
        (count_tokens(text) > LONGEST * count_tokens(source), "answer is longer than the passage allows"),
        (bool(invented), f"answer has {invented} that the passage lacks"),
        (contradicts(text, facts), "answer contradicts a fact"),
        (any(fact.taught == "text" and states(text, fact) for fact in facts), "answer tells what only texts teach"),
        (not _says_something(text, question, chunk, facts), "answer says nothing of the passage"),
    )
    return next((Verdict(False, reason) for fault, reason in faults if fault), KEEP)


def _without_leads(text: str) -> str:
    """The text without words for what stands below them in it: "as follows", 如下表所示."""
    lines = [line for line in text.splitlines() if line.strip()]
    below = [*lines[1:], ""]
    return "\n".join(
        _LEADING.sub("", line) if _BLOCK.match(after) or line.rstrip("*_ ").endswith((":", "：")) else line
        for line, after in zip(lines, below, strict=True)
    )


def _says_something(text: str, question: str, chunk: Chunk, facts: Sequence[Fact]) -> bool:
    """Whether an answer states facts of the chunk, has words of it that the question lacks, or its code or table."""
    if sum(states(text, fact) for fact in facts) >= LEAST_FACTS or FENCED.search(text) or any(tables(text)):
        return True
    size = STRETCH[chunk.language]
    said, passage, asked = canonical(text), canonical(chunk.text), canonical(question)
    stretches = (said[at : at + size] for at in range(len(said) - size + 1))
    return any(stretch in passage and stretch not in asked for stretch in stretches)
