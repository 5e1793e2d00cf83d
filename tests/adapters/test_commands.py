"""`kb adapters` as it is typed."""

import json

import pytest
import typer

from kb.cli import app
from kb.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.fixture
def kb(place, monkeypatch):
    """A function that runs `kb adapters` in the workspace."""
    monkeypatch.setenv("KB_WORKSPACE", str(place.root))
    monkeypatch.chdir(place.root)

    def run(*words):
        return app(["adapters", *words], standalone_mode=False)

    return run


def test_the_bare_command_lists(kb, train, capsys):
    """With the same options as `list`."""
    train("one")
    kb()
    assert capsys.readouterr().out.splitlines()[1].startswith("*  one")
    kb("--json")
    assert json.loads(capsys.readouterr().out)[0]["name"] == "one"


def test_options_that_a_command_would_not_see_are_refused(kb):
    """`kb adapters --json list` would print text otherwise."""
    with pytest.raises(UsageError, match=r"put options behind the command: kb adapters list \.\.\."):
        kb("--json", "list")


def test_deleting_asks(kb, train, place, monkeypatch):
    """On a terminal; elsewhere --yes is needed."""
    train("one")
    train("two")
    with pytest.raises(UsageError, match="no terminal to ask at; add --yes"):
        kb("delete", "one")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked = []
    monkeypatch.setattr(typer, "confirm", lambda question, **options: asked.append((question, options)))
    kb("delete", "one")
    assert asked == [(f"Delete {place.run('one')}?", {"abort": True, "err": True})]
    train("one")
    train("two")
    kb("delete", "one", "--yes")
    assert not place.run("one").exists() and len(asked) == 1


def test_use_show_and_compare_print_what_they_found(kb, train, capsys):
    """One road from the words to the lines."""
    train("one")
    train("two")
    kb("use", "one")
    kb("show", "one")
    kb("compare", "one", "two")
    out = capsys.readouterr().out
    assert "in use: one" in out and "run one, 20" in out and "settings, data and base are the same" in out


def test_an_adapter_of_another_base_is_refused_by_what_differs(kb, train):
    """Two bases are named when a sum is asked for, and weights that are no numbers before anything is read."""
    for name in ("one", "two"):
        adapter = train(name, base=name, base_identity=name)
        (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "init_lora_weights": true}')
        train(name, base=name, base_identity=name)
    with pytest.raises(UsageError, match=r"different bases: one \(one\) and two \(two\)"):
        kb("combine", "sum", "one", "two", "--model", "lab")
    with pytest.raises(UsageError, match="--weights: expected numbers with commas between them, got '1;2'"):
        kb("combine", "sum", "one", "two", "--weights", "1;2", "--model", "lab")
