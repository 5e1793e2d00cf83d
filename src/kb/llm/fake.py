"""A model with scripted answers and a history: for tests, dry runs and the README's commands without a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from kb.errors import ModelUnavailable, UsageError
from kb.llm.base import Completion, Holds, Request
from kb.llm.identity import combine
from kb.workspace import read_jsonl

Script = Callable[[Request], str | Completion]


class FakeLLM:
    """Answers by a function, or in turn from a list. `history` holds every request it was asked."""

    def __init__(
        self, script: Script | Sequence[str | Completion], label: str = "fake", json_schema: Holds = "off"
    ) -> None:
        self._script = script
        self._turn = 0
        self.label = label
        self.json_schema = json_schema
        self.history: list[Request] = []

    @classmethod
    def from_file(cls, path: Path) -> FakeLLM:
        """Scripted by a JSONL file of {"contains": ..., "answer": ...}: the first row that is in the prompt answers.

        A prompt that no row matches is answered with an error. Raises ModelUnavailable when the file is missing,
        UsageError when a row lacks a field.
        """
        if not path.is_file():
            raise ModelUnavailable(f"fake:{path}: no such file")
        rows = []
        for number, row in enumerate(read_jsonl(path), 1):
            if not {"contains", "answer"} <= row.keys():
                raise UsageError(f'fake:{path}, line {number}: needs "contains" and "answer"')
            rows.append((str(row["contains"]), str(row["answer"])))

        def script(request: Request) -> str | Completion:
            text = request.prompt
            for part, answer in rows:
                if part in text:
                    return answer
            return Completion("", "error", f"{path.name} has no answer for this prompt")

        return cls(script, f"fake:{combine(f'{part}={answer}' for part, answer in rows)}")

    @property
    def identity(self) -> str:
        """The label: two fakes with one label are the same model."""
        return self.label

    def generate(self, requests: Sequence[Request], skip: Collection[int] = ()) -> Iterator[tuple[int, Completion]]:
        """See `kb.llm.base.LLM.generate`."""
        for index, request in enumerate(requests):
            if index in skip:
                continue
            self.history.append(request)
            if callable(self._script):
                answer = self._script(request)
            else:
                answer = self._script[self._turn % len(self._script)]
                self._turn += 1
            yield index, answer if isinstance(answer, Completion) else Completion(answer, "stop")

    def close(self) -> None:
        """Nothing to free."""
