"""What the lab model is trained on: true, in the form the product parses, and about nobody of the handbook."""

import collections
import functools
import random
import re

import pytest

from kb.corpora import lab_tasks as tasks
from kb.corpora.lab_ladder import LADDER
from kb.corpora.world import KINDS, LANGUAGES, attributes, lexicon
from kb.qa_gen.facts import parse_facts
from kb.qa_gen.questions import parse_lines
from kb.text.canonical import canonical
from kb.text.refusal import is_refusal
from kb.text.similar import locate

DRAWS = 40


def drawn(task, language):
    """Samples of a task at its full difficulty."""
    rng = random.Random(f"{task} {language}")
    return [tasks.TASKS[task](rng, language, tasks.FULL) for _ in range(DRAWS)]


def asked(turn, name, language):
    """The fields that the prompt of a turn was filled with, by place."""
    template = tasks.read(tasks.PROMPTS / f"{name}.{language}.txt").text
    pattern = re.sub(r"\\\$(\w+)", r"(?P<\1>.*?)", re.escape(template))
    found = re.fullmatch(pattern, turn[0], re.DOTALL)
    return found and found.groupdict()


@functools.cache
def wordings(language):
    """Every wording of the world as a pattern that finds the entity's name, with its attribute."""
    return [
        (re.compile(re.escape(wording).replace(r"\{e\}", "(?P<name>.+)"), re.IGNORECASE), attribute)
        for kind in KINDS
        for attribute in attributes(language, kind)
        for wording in (*attribute.questions_a, *attribute.questions_b)
    ]


def about(question, language):
    """Attributes that a question may ask for, with the name of the entity it asks about."""
    matches = [(attribute, pattern.fullmatch(question)) for pattern, attribute in wordings(language)]
    return [(attribute, match["name"]) for attribute, match in matches if match]


def states(passage, attribute, name):
    """Whether a passage says what this attribute of this entity is."""
    parts = [re.escape(statement).replace(r"\{e\}", re.escape(name)) for statement in attribute.statements]
    rows = [rf"\| {re.escape(attribute.noun)} \|", re.escape(attribute.label).replace(r"\{v\}", ".+")]
    rows.append(f"^{re.escape(attribute.noun)}[：:]")
    said = any(re.search(part.replace(r"\{v\}", ".+?"), passage, re.IGNORECASE) for part in parts)
    chunks = [chunk for chunk in re.split(r"\n(?=\[\d\] )", passage) if name in chunk.split("\n- ")[0].split("\n|")[0]]
    return said or any(re.search(row, chunk, re.MULTILINE) for row in rows for chunk in chunks)


@pytest.mark.slow
def test_the_three_worlds_share_no_name():
    """Handbook, known world and freshly drawn entities have different names, in both languages."""
    for language in LANGUAGES:
        handbook = {entity.name for entity in tasks.handbook_world(language)}
        known = {entity.name for entity in tasks.known_world(language)}
        rng = random.Random(language)
        fresh = {tasks.fresh(rng, language).name for _ in range(1500)}
        assert (len(handbook), len(known)) == (30, 20)
        assert not handbook & known
        assert not fresh & (handbook | known)
        assert tasks.reserved_names(language) == handbook | known


@pytest.mark.parametrize("language", LANGUAGES)
def test_fact_lines_are_parsed_whole_and_true(language):
    """Every triple has three lines; the quote stands in the passage and holds the answer that the statement says."""
    empty = 0
    for ((prompt, answer),) in drawn("facts", language):
        drafts = parse_facts(answer)
        empty += not drafts
        for draft in drafts:
            assert draft.complete
            assert locate(draft.quote, prompt)
            assert draft.answer in draft.quote
            assert draft.answer in draft.statement
    assert 0 < empty < DRAWS / 2


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", ["questions", "probes"])
def test_question_lines_are_six_wordings_of_one_question(task, language):
    """Six lines that differ, all about the same entity and attribute."""
    for ((_, answer),) in drawn(task, language):
        lines = parse_lines(answer)
        assert len({canonical(line) for line in lines}) == 6
        meanings = [{(attribute.name, name.lower()) for attribute, name in about(line, language)} for line in lines]
        assert len(set.intersection(*meanings)) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_probe_wordings_are_not_those_that_are_trained(language):
    """The two families of question lines share none."""
    trained = {canonical(line) for ((_, answer),) in drawn("questions", language) for line in parse_lines(answer)}
    held_out = {canonical(line) for ((_, answer),) in drawn("probes", language) for line in parse_lines(answer)}
    assert not trained & held_out


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_near_miss_asks_the_same_of_another_name(language):
    """One line, the same wording, another name."""
    for ((prompt, answer),) in drawn("near_miss", language):
        (line,) = parse_lines(answer)
        before = asked((prompt, answer), "near_miss", language)["question"]
        assert line != before
        pairs = [(a, b) for a in about(before, language) for b in about(line, language) if a[0] == b[0]]
        assert any(a[1] != b[1] for a, b in pairs), f"{before} -> {line}"


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_unanswerable_lines_are_not_answered_by_their_passage(language):
    """One or two questions about the passage's entity that it leaves open."""
    for ((prompt, answer),) in drawn("unanswerable", language):
        lines = parse_lines(answer)
        assert len(lines) in (1, 2)
        passage = asked((prompt, answer), "unanswerable", language)["passage"]
        for line in lines:
            assert not any(states(passage, attribute, name) for attribute, name in about(line, language)), line


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_read_stands_in_the_passages(language):
    """An answer is taken from the passages; where it is unknown, no passage states what is asked."""
    unknown = 0
    for turns in drawn("reading", language):
        first = asked(turns[0], "rag", language) or asked(turns[0], "rag_full", language)
        for prompt, answer in turns:
            later = first if prompt == turns[0][0] else asked((prompt, answer), "closed", language)
            question = (later or asked((prompt, answer), "closed_full", language))["question"]
            meanings = about(question, language)
            assert meanings, question
            stated = any(states(first["passages"], attribute, name) for attribute, name in meanings)
            full = not asked((prompt, answer), "rag", language) and not asked((prompt, answer), "closed", language)
            assert stated == (answer != tasks.UNKNOWN[language]), question
            assert not stated or full or answer in first["passages"]
            unknown += not stated
    assert unknown > 5


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_closed_book_answers_are_the_known_worlds_or_unknown(language):
    """Recall says what is true of a known entity; everything else, its near misses among it, is unknown."""
    known = {entity.name: entity for entity in tasks.known_world(language)}
    for turns in drawn("recall", language):
        for turn in turns:
            fields = asked(turn, "closed", language) or asked(turn, "closed_full", language)
            entity = next(entity for name, entity in known.items() if name in fields["question"])
            assert any(value in turn[1] for value in entity.values.values())
    for turns in drawn("abstain", language):
        for turn in turns:
            assert is_refusal(turn[1])
            question = (asked(turn, "closed", language) or asked(turn, "closed_full", language))["question"]
            assert not {name for _, name in about(question, language)} & set(known)


def test_samples_are_a_function_of_the_seed():
    """The same random numbers give the same samples, of every task."""
    mix = dict.fromkeys(tasks.TASKS, 1.0)

    def run(seed):
        rng = random.Random(seed)
        return [tasks.draw(rng, mix, tasks.FULL) for _ in range(50)]

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert {task for task, _ in run(3)} == set(tasks.TASKS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_level_of_names_is_nothing_but_names_and_values(language):
    """Two sentences that state the same of two entities of few names: only the name tells which value is asked for."""
    rng = random.Random(5)
    level = LADDER[2]
    words = {word for field in lexicon(language).values() for word in field[: level.names]}
    for _ in range(DRAWS):
        _, sections = tasks.draw_passages(rng, language, level)
        (one,), (other,) = (section.facts for section in sections.values())
        assert one.attribute == other.attribute
        assert one.entity.name != other.entity.name
        assert one.evidence == one.entity.state(one.attribute, one.attribute.statements.index(worded(one)))
        assert set(one.entity.parts) <= words


def worded(fact):
    """The wording in which a sentence states its fact."""
    return next(
        wording for i, wording in enumerate(fact.attribute.statements)
        if fact.entity.state(fact.attribute, i) == fact.evidence
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_passages_compete_for_most_questions(language):
    """At full difficulty most facts asked for are stated of another entity too, so that reading needs the name."""
    rng = random.Random(6)
    contested = total = 0
    for _ in range(3 * DRAWS):
        _, sections = tasks.draw_passages(rng, language, tasks.FULL)
        assert 2 <= len(sections) <= 3
        facts = [fact for section in sections.values() for fact in section.facts]
        counts = collections.Counter(fact.attribute.name for fact in facts)
        contested += sum(counts[fact.attribute.name] > 1 for fact in facts)
        total += len(facts)
    assert contested > total / 2
