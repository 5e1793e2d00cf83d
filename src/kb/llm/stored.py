"""The table of model calls: every request and response, appended as it lands and never changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kb.llm.base import Completion, Message, Request
from kb.store import Store, now

CUT = "answer cut off at the token limit"
"""The reason against an answer that ran into its limit, where the server gives no better one."""


@dataclass(frozen=True)
class Answer:
    """An answer in the store, good or bad."""

    seq: int
    """The number of its call; later calls have greater ones."""
    completion: Completion


@dataclass(frozen=True)
class Call:
    """A call as it was made."""

    request: Request
    completion: Completion
    good: bool
    at: datetime


def find_answers(store: Store, keys: Sequence[str]) -> dict[str, Answer]:
    """What the model last said to the requests with these keys, good or bad."""
    found = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        query = (
            "SELECT seq, key, response, finish, error, prompt_tokens, completion_tokens, seconds, logprob"
            " FROM llm_calls"
            f" WHERE finish != 'error' AND key IN ({','.join('?' * len(part))}) ORDER BY seq"
        )
        for row in store.sql(query, *part):
            # Only the server could say why an answer was cut off; of the form of others today's parser decides.
            error = row["error"] if row["finish"] == "length" and row["error"] != CUT else ""
            found[row["key"]] = Answer(
                row["seq"],
                Completion(
                    row["response"], row["finish"], error, row["prompt_tokens"], row["completion_tokens"],
                    row["seconds"], row["logprob"],
                ),
            )  # fmt: skip
    return found


def append_call(store: Store, key: str, stage: str, label: str, request: Request, done: Completion, why: str) -> None:
    """Add a call; `why` says what is wrong with its answer, "" of a good one."""
    with store.transaction():
        store.sql(
            "INSERT INTO llm_calls (key, stage, model, request, response, finish, error, prompt_tokens,"
            " completion_tokens, seconds, logprob, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            key, stage, label, json.dumps(vars(request), default=vars, ensure_ascii=False), done.text, done.finish, why,
            done.prompt_tokens, done.completion_tokens, done.seconds, done.logprob, now(),
        )  # fmt: skip


def last_call(store: Store) -> int:
    """The number of the last call; 0 when there is none."""
    return int(store.sql("SELECT COALESCE(MAX(seq), 0) FROM llm_calls")[0][0])


def count_calls(store: Store, stage: str, label: str, up_to: int | None = None) -> int:
    """How many good answers a stage has of the model called `label`, those of calls after `up_to` left out."""
    limit = "" if up_to is None else f" AND seq <= {up_to}"
    query = f"SELECT COUNT(*) FROM llm_calls WHERE stage = ? AND model = ? AND error = ''{limit}"
    return int(store.sql(query, stage, label)[0][0])


def recent_calls(store: Store, stage: str, label: str, identity: str, most: int) -> list[Call]:
    """The last `most` calls of a stage that were answered by this very model, oldest first."""
    query = "SELECT * FROM llm_calls WHERE stage = ? AND model = ? ORDER BY seq DESC LIMIT ?"
    return list(_calls(store, identity, query, stage, label, most))[::-1]


def _calls(store: Store, identity: str, query: str, *values: object) -> Iterator[Call]:
    for row in store.sql(query, *values):
        given = json.loads(row["request"])
        messages = tuple(Message(**message) for message in given.pop("messages"))
        request = Request(messages, **given | {"stop": tuple(given["stop"])})
        # Two models may have one name.
        if row["finish"] != "error" and request.key(identity) == row["key"]:
            done = Completion(
                row["response"], row["finish"], "", row["prompt_tokens"], row["completion_tokens"], row["seconds"]
            )
            yield Call(request, done, not row["error"], datetime.fromisoformat(row["at"]))
