"""What the calls of a step were like so far: how many there are, what they took, what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb.errors import Unparsed
from kb.llm import LLM, Request
from kb.llm.stored import Call, count_calls, recent_calls
from kb.qa_gen.replies import parse_facts
from kb.store import Store
from kb.text.terms import count_tokens

SAMPLE = 100
"""Calls of a step that are looked at, and requests that are about to be asked."""
PAUSE = 300.0
"""Seconds between two answers from which on nobody was asking."""


@dataclass(frozen=True)
class Past:
    """What a step was like so far."""

    calls: Sequence[Call]
    """The last ones."""
    good: int
    """Good answers."""
    ended: int
    """Those of runs that came to their end."""

    @property
    def tries(self) -> float:
        """Calls for a good answer."""
        good = sum(call.good for call in self.calls)
        return len(self.calls) / good if good else 1.0

    @property
    def seconds(self) -> float:
        """From the first of the last calls to the last one, without pauses."""
        times = [call.at.timestamp() for call in self.calls]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        return sum(gap for gap in gaps if gap < PAUSE)

    def tokens(self) -> Iterator[tuple[int, int]]:
        """Tokens of prompt and answer of each of the last calls, estimated where the server does not count."""
        for call in self.calls:
            prompt = call.completion.prompt_tokens or tokens_of(call.request)
            yield prompt, call.completion.completion_tokens or count_tokens(call.completion.text)


def look_back(store: Store, llm: LLM, stage: str, ended: int) -> Past:
    """What a stage was like with this very model; `ended` is the last call of the runs that came to their end."""
    return Past(
        recent_calls(store, stage, llm.label, llm.identity, SAMPLE),
        count_calls(store, stage, llm.label),
        count_calls(store, stage, llm.label, ended),
    )


def drafts(call: Call) -> int:
    """The facts in an answer of the facts step."""
    try:
        return sum(draft.complete for draft in parse_facts(call.completion.text))
    except Unparsed:
        return 0


def tokens_of(request: Request) -> int:
    """Estimated tokens of a request."""
    return sum(count_tokens(message.content) for message in request.messages)
