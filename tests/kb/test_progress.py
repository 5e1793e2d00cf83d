"""Progress: plain lines where stderr is no terminal, a bar where it is, nothing for what is over at once."""

import io
import logging
import sys
import threading
import time

import pytest

from kb import progress as module
from kb.progress import counts, duration, progress


@pytest.fixture
def clock(monkeypatch, caplog):
    """A clock that only moves when told to, and the lines that were logged."""
    caplog.set_level(logging.INFO)
    moment = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])

    class Clock:
        """Moves time on."""

        def wait(self, seconds):
            """So many seconds pass."""
            moment[0] += seconds

        @property
        def lines(self):
            """What was said."""
            return [record.getMessage() for record in caplog.records]

    return Clock()


def test_a_short_loop_says_nothing(clock):
    """What is over within two seconds leaves no line."""
    with progress("embed", 3) as advance:
        for _ in range(3):
            clock.wait(0.6)
            advance(1)
    assert clock.lines == []


def test_a_longer_loop_says_how_it_ended(clock):
    """A line at the end, with the count and the rate, and no time left."""
    with progress("embed", 4) as advance:
        for _ in range(4):
            clock.wait(2)
            advance(1)
    assert clock.lines == ["embed: 4/4, 0.5/s"]


def test_a_long_loop_says_something_every_ten_seconds(clock):
    """However many items are done in between; each line with the time left."""
    with progress("ask", 100) as advance:
        for _ in range(50):
            clock.wait(0.5)
            advance(1)
    assert clock.lines == ["ask: 21/100, 2.0/s, 40 s left", "ask: 42/100, 2.0/s, 29 s left"]


def test_a_loop_whose_first_item_takes_long_says_that_it_has_begun(clock, monkeypatch):
    """Once, while nothing is done; not where something is done by then."""
    with progress("embed", 5) as advance:
        advance(1)
        advance.waiting()
    monkeypatch.setattr(module, "PLAIN_EVERY", 0.01)
    with progress("ask", 5):
        while not clock.lines:
            time.sleep(0.005)
    assert clock.lines == ["ask: 0/5"]


def test_an_item_that_is_not_done_yet_ends_nothing(clock):
    """Advancing by nothing keeps the rate honest and does not repeat the last line."""
    with progress("ask", 2) as advance:
        clock.wait(3)
        advance(2)
        advance(0)
        clock.wait(11)
        advance(0)
    assert clock.lines[0] == "ask: 2/2, 0.7/s"
    assert len(clock.lines) <= 2


def test_what_took_no_time_says_nothing_of_the_rate(clock):
    """Items that were there already are done, and the time left is that of the others."""
    with progress("ask", 100) as advance:
        advance(80, free=True)
        for _ in range(6):
            clock.wait(2)
            advance(1)
    assert clock.lines == ["ask: 86/100, 0.5/s, 28 s left"]


def test_notes_are_said_with_the_line(clock):
    """As they are at that moment."""
    bad = {}
    with progress("ask", 30, notes=lambda: counts(bad)) as advance:
        clock.wait(11)
        advance(11)
        bad |= {"no lines": 2, "cut off": 3, "甲": 1, "乙": 1}
        clock.wait(11)
        advance(11)
    assert clock.lines == [
        "ask: 11/30, 1.0/s, 19 s left",
        "ask: 22/30, 1.0/s, 8 s left; cut off 3, no lines 2, 乙 1, other 1",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7000, "117 min"), (12_600, "3.5 h")]
)
def test_durations(seconds, said):
    """Seconds up to two minutes, minutes up to two hours, then hours."""
    assert duration(seconds) == said


def test_nothing_to_do_and_nothing_to_show(clock):
    """An empty loop and one that is switched off say nothing, whatever time they take."""
    for total, enabled in ((0, True), (5, False)):
        with progress("x", total, enabled) as advance:
            clock.wait(60)
            advance(5)
    assert clock.lines == []


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self):
        """A terminal."""
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """A function that makes stderr a terminal 80 columns wide, on which a loop is long after so many seconds.

    It is called in the test's body: between a fixture and its test, pytest puts its own stderr back.
    """

    def make(short=0.0, term="xterm"):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(module, "SHORT", short)
        return stream

    return make


def timers():
    """The threads that wait to show a bar."""
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def until_shown(terminal, text):
    """Wait until the terminal shows a text; it never does in a test that fails."""
    end = time.monotonic() + 5
    while text not in terminal.getvalue() and time.monotonic() < end:
        time.sleep(0.002)
    assert text in terminal.getvalue()


def test_a_bar_on_a_terminal(open_terminal):
    """Name, count and bar once it is a longer loop, also before the first item is done."""
    terminal = open_terminal()
    with progress("ingesting", 4) as advance:
        until_shown(terminal, "0/4")
        advance(4)
    assert "ingesting" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


def test_notes_stand_beside_the_bar(open_terminal, monkeypatch):
    """What there is to say of the loop."""
    terminal = open_terminal()
    monkeypatch.setenv("COLUMNS", "120")
    with progress("ask", 4, notes=lambda: "1 bad: no lines") as advance:
        until_shown(terminal, "0/4")
        advance(2)
    assert "1 bad: no lines" in terminal.getvalue()


def test_no_bar_for_a_short_loop_on_a_terminal(open_terminal):
    """Not a single character, and no thread that would still show one later."""
    terminal = open_terminal(short=60)
    with progress("ingesting", 4) as advance:
        assert len(timers()) == 1
        advance(4)
    assert timers() == []
    assert terminal.getvalue() == ""


def test_the_cursor_comes_back_after_a_failure(open_terminal):
    """A loop that breaks off leaves the terminal as it was."""
    terminal = open_terminal()
    with pytest.raises(KeyboardInterrupt), progress("ingesting", 4):
        until_shown(terminal, "0/4")
        raise KeyboardInterrupt
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_terminal_without_control_codes_gets_lines(open_terminal, clock):
    """A dumb terminal is like a pipe."""
    terminal = open_terminal(short=2.0, term="dumb")
    with progress("ask", 1) as advance:
        clock.wait(5)
        advance(1)
    assert terminal.getvalue() == ""
    assert clock.lines == ["ask: 1/1, 0.2/s"]
