"""An answer piece by piece, as it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kb.errors import LLMError
from kb.llm.base import LLM, Completion, Request
from kb.text.replies import without_thinking

Tell = Callable[[str], None]
"""Takes the next piece of an answer. What it raises ends the generation."""


def answer(llm: LLM, request: Request, tell: Tell) -> Completion:
    """The answer to one request; `tell` has had all of it by then, in pieces where the model is local.

    A local model calls `tell` with each token, with an empty text where there is nothing to show yet. Raises LLMError
    where the model cannot be asked at all.
    """
    from kb.llm.local import LocalLLM

    pieces = _Pieces(request, tell)
    options: dict[str, Any] = {"streamer": _Streamer(llm, pieces)} if isinstance(llm, LocalLLM) else {}
    for _, done in llm.generate([request], **options):
        pieces.finish(done.text)
        return done
    raise LLMError(f"{llm.label} gave no answer")


class _Pieces:
    """What of a growing text will stay as it is, told once each."""

    def __init__(self, request: Request, tell: Tell) -> None:
        self._stops, self._tell, self._told = request.stop, tell, ""

    def grow(self, text: str) -> None:
        """The text so far: thinking, and what may become a stop string or a blank at the end, is held back."""
        shown = without_thinking(text).lstrip()
        held = max((len(stop) - 1 for stop in self._stops), default=0)
        ends = [shown.find(stop) for stop in self._stops if stop in shown]
        self.finish(shown[: min(ends) if ends else len(shown) - held].rstrip())

    def finish(self, text: str) -> None:
        """Tell what is new in the text; where it does not go on from what was told, nothing."""
        new = text[len(self._told) :] if text.startswith(self._told) else ""
        self._told += new
        self._tell(new)


class _Streamer:
    """What `generate` of transformers calls with the prompt, then with each token.

    The whole answer is decoded each time: tokens on their own lose blanks and halves of letters.
    """

    def __init__(self, llm: Any, pieces: _Pieces) -> None:
        from kb.llm.local import end_ids

        self._tokenizer, self._pieces = llm.weights.tokenizer, pieces
        self._ends = end_ids(llm.weights.model, self._tokenizer)
        self._tokens: list[int] | None = None

    def put(self, value: Any) -> None:
        """The prompt's tokens first, which are not told."""
        if self._tokens is None:
            self._tokens = []
            return
        self._tokens += [token for token in value.flatten().tolist() if token not in self._ends]
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True)
        self._pieces.grow(text.removesuffix("�"))

    def end(self) -> None:
        """The completion that follows has the end of the text."""
