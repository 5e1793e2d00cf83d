"""`kb eval diff`: what one evaluation knows that another does not, on what both were asked."""

import json

import pytest
from rich.cells import cell_len

from kb.cli import app
from kb.errors import UsageError
from kb.evaluate.diff import diff
from kb.evaluate.diff_text import as_lines, as_markdown
from kb.records import Fact, Probe, Score
from kb.workspace import Workspace, write_json

pytestmark = pytest.mark.slow

FACTS = 30
OLD = {"tuned": [2, 2, 0, 1], "rag": [2, 2, 2, 2]}
NEW = {"tuned": [2, 0, 2, 2], "oracle": [2, 2, 2, 2]}
"""Arm to how many of the two wordings are right, by the fact's number modulo 4; 1 becomes 2: no majority before."""


def statement(number: int) -> str:
    return f"布林闸门{number}号重{number}千克。" if number % 2 else f"Gate {number} weighs {number} kg."


@pytest.fixture
def place(tmp_path) -> Workspace:
    """A workspace with thirty facts, two wordings each, evaluated as `old-1` and as `new-2`."""
    place = Workspace(tmp_path / ".kb", create=True)
    for number in range(FACTS):
        text = statement(number)
        place.store.put([Fact(f"f{number:02d}", "c", text, f"{number} kg", "number", text, 0, len(text), "en")])
    for name, rights in (("old-1", OLD), ("new-2", NEW)):
        evaluate(place, name, rights)
    return place


def evaluate(place: Workspace, name: str, rights, gold: str = "kg", facts: int = FACTS) -> None:
    """Store an evaluation, with a near miss that is answered in the first and declined after it."""
    for number in range(facts):
        asked = [
            Probe(f"p{number}{wording}", f"f{number:02d}", "held_out", f"{number}?", f"{number} {gold}", "number", "en")
            for wording in range(2)
        ]
        near = Probe(f"n{number}", f"f{number:02d}", "near_miss", f"{number}!", "", "text", "en")
        place.store.put([*asked, near], eval=name)
        for arm, right in rights.items():
            verdicts = ["correct" if at < right[number % 4] else "wrong" for at in range(2)]
            verdicts.append("wrong" if name == "old-1" else "correct")
            place.store.put(
                [Score(one.id, arm, "", verdict, "") for one, verdict in zip([*asked, near], verdicts, strict=True)],
                eval=name,
            )


def test_what_was_gained_and_lost_by_hand(place):
    """Of each four facts one stays, one is lost, one is gained, and one is gained from half of its wordings."""
    found = diff(place, "old-1", "new-2")
    assert (found.facts, found.probes, found.other_gold, found.only) == (30, 90, 0, (0, 0))
    held, near = found.arms
    assert (held.kind, held.arm, held.facts, held.probes) == ("held_out", "tuned", 30, 60)
    assert ([len(held.lost), len(held.gained)], held.flipped) == ([8, 14], ())
    assert (held.lost[0].id, held.lost[0].statement) == ("f01", statement(1))
    change = (7 * 1 + 7 * 0.5 - 8) / 30
    assert held.difference.value == pytest.approx(held.second - held.first) == pytest.approx(change)
    assert held.difference.low < held.difference.value < held.difference.high
    assert 0.05 < held.p <= 1 and 0 < held.detectable < 1
    assert (near.kind, near.first, near.second, len(near.gained)) == ("near_miss", 0.0, 1.0, 30)
    assert near.p < 0.001


def test_of_many_lines_each_must_show_more(place):
    """A change that would stand alone does not among five others: Holm over all lines, by which the sign is told."""
    once = {"tuned": OLD["tuned"]} | {f"run:{letter}": (2, 2, 2, 2) for letter in "abcde"}
    better = {"tuned": (2, 2, 2, 2)} | {f"run:{letter}": (2, 2, 2, 2) for letter in "abcde"}
    for name, rights in (("few-1", once), ("few-2", better)):
        evaluate(place, name, rights, facts=6)
    held = [one for one in diff(place, "few-1", "few-2").arms if one.kind == "held_out"]
    assert [one.arm for one in held if one.p < 1] == ["tuned"]
    (tuned,) = (one for one in held if one.arm == "tuned")
    assert tuned.p < tuned.p_adjusted <= 1


def test_back_to_front_everything_is_turned(place):
    """What was lost is gained, and the difference has the other sign."""
    there, back = diff(place, "old-1", "new-2").arms[0], diff(place, "new-2", "old-1").arms[0]
    assert (there.gained, there.lost) == (back.lost, back.gained)
    assert there.difference.value == -back.difference.value


def test_a_wording_that_changes_sides_alone_is_flipped(place):
    """The other one changed, too, and half is no majority in either."""
    evaluate(place, "odd-3", {"tuned": [2, 1, 1, 1]}, facts=4)
    store = place.store
    store.sql("UPDATE scores SET verdict = 'correct' WHERE eval = 'odd-3' AND probe_id = 'p31'")
    store.sql("UPDATE scores SET verdict = 'wrong' WHERE eval = 'odd-3' AND probe_id = 'p30'")
    held = diff(place, "old-1", "odd-3").arms[0]
    assert [fact.id for fact in held.flipped] == ["f02", "f03"]
    assert ([fact.id for fact in held.lost], held.gained) == (["f01"], ())


def test_only_what_both_asked_and_held_for_right_is_compared(place):
    """Probes of one alone and of another right answer are counted and left out."""
    evaluate(place, "less-3", {"tuned": [0, 0, 0, 0]}, facts=10)
    place.store.sql("UPDATE probes SET gold = '7 t' WHERE eval = 'less-3' AND fact_id = 'f02' AND kind = 'held_out'")
    found = diff(place, "old-1", "less-3")
    assert (found.facts, found.probes, found.other_gold, found.only) == (10, 28, 2, (60, 0))
    assert "left out: 60 probes of A alone, 2 to which another answer is right by now" in as_lines(found)
    evaluate(place, "tonnes-4", {"tuned": [0, 0, 0, 0]}, gold="t", facts=10)
    place.store.sql("DELETE FROM probes WHERE eval = 'tonnes-4' AND kind = 'near_miss'")
    with pytest.raises(UsageError, match="asked no probe that has the same right answer in both"):
        diff(place, "old-1", "tonnes-4")


def test_an_unknown_name_is_told_what_there_is(place):
    """In the order they were made."""
    with pytest.raises(UsageError, match="there is no evaluation called gone-9; there is: old-1, new-2"):
        diff(place, "old-1", "gone-9")


def test_what_the_reports_were_made_from(place):
    """What differs is named; where a report was deleted nothing is."""
    assert diff(place, "old-1", "new-2").differs == {}
    for name in ("old-1", "new-2"):
        write_json(place.eval(name) / "report.json", {"provenance": {"model": "lab", "run": name}})
    found = diff(place, "old-1", "new-2")
    assert found.differs == {"run": ("old-1", "new-2")}
    assert "differs: run" in as_lines(found)


def test_text_and_markdown(place):
    """At most 100 columns but for statements; both say what could not be detected, and list what changed."""
    found = diff(place, "old-1", "new-2")
    lines, text = as_lines(found), as_markdown(found)
    assert max(cell_len(line) for line in lines) <= 100
    assert "tuned                    30  65.0%  73.3%   +8.3" in "\n".join(lines)
    assert any(line.startswith("  tuned: no difference detected; smallest detectable") for line in lines)
    assert "gained by tuned: 14 facts, the first 10" in lines
    assert f"  f01  {statement(1)}" in lines
    assert "## Lost by tuned: 8 facts" in text
    assert text.count("| fact | statement |") == 2
    assert "| tuned, near miss | 30 | 0.0% | 100.0% | +100.0 |" in text


def test_the_longest_figures_do_not_run_together(place):
    """Of an evaluation and itself every p is 1, the widest that there is."""
    lines = [line for line in as_lines(diff(place, "old-1", "old-1")) if "[" in line]
    assert lines and all(line.split()[-5:-3] == ["p=1.000", "p=1.000"] for line in lines)


def test_the_command(place, monkeypatch, capsys):
    """Beside `kb eval` itself: text, JSON with all lists, or Markdown; options in front of it are refused."""
    monkeypatch.chdir(place.root.parent)
    app(["eval", "diff", "old-1", "new-2", "--json"], standalone_mode=False)
    assert len(json.loads(capsys.readouterr().out)["arms"][0]["gained"]) == 14
    app(["eval", "diff", "old-1", "new-2", "--md"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("# Two evaluations\n")
    app(["eval", "diff", "old-1", "new-2"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("A: old-1\nB: new-2\n")
    with pytest.raises(UsageError, match="choose one"):
        app(["eval", "diff", "old-1", "new-2", "--md", "--json"], standalone_mode=False)
    with pytest.raises(UsageError, match=r"put options behind the command: kb eval diff \.\.\."):
        app(["eval", "--limit", "3", "diff", "old-1", "new-2"], standalone_mode=False)
