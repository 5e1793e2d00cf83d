"""Any server that speaks the OpenAI chat protocol: vLLM, Ollama, llama.cpp, `transformers serve`.

The `openai` package carries the requests. How many at once, when to try again and what counts as an answer is decided
here, because a generation of hours must lose nothing to a server that stumbles.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import logging
import os
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import openai

from kb.errors import LLMError, UsageError
from kb.llm.background import Put, in_background
from kb.llm.base import Completion, ModelConfig, Request
from kb.llm.identity import combine
from kb.llm.limit import Limit, backoff
from kb.llm.replies import Failure, explain, read_answer, read_models, refuses_schema
from kb.llm.schema import PROBE

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""A server that is there accepts a connection within this time, however busy it is."""
APART = 0.002
"""Seconds between the first requests: a server that refuses some says so before all are on their way, and one with a
short queue for new connections takes them all."""


@dataclass
class _Run:
    """One call of `generate`."""

    requests: Sequence[Request]
    limit: Limit
    put: Put[tuple[int, Completion]]
    heard: float = 0.0
    """When the server last gave a sign of life."""
    answers: int = 0


class OpenAIServer:
    """A model behind an OpenAI-compatible server at `config.base_url`.

    The key is read from the environment when a connection is made; it is neither stored nor logged, and is cut out of
    messages. Raises UsageError for a base_url that is no URL.
    """

    def __init__(self, config: ModelConfig, model: str) -> None:
        parts = urlsplit(config.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"base_url = {config.base_url!r} is not a URL such as http://localhost:8000/v1")
        if not model:
            raise UsageError("openai: lacks the name that the server gives the model, as in openai:qwen3:4b")
        self.label = f"openai:{model}"
        self.json_schema = config.json_schema
        self._schemas = True
        self._config = config
        self._model = model
        self._host = parts.hostname
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the server's address, the model's name, the effort asked of it and what GET /models says about it.

        A server's weights cannot be verified: other weights under the same address, name and size are taken for the
        same model. The entry's `created` is left out, since vLLM and llama.cpp give the time of the request there. A
        server without /models is its address and the name. Raises LLMError when nothing answers.
        """
        entry = next((entry for entry in self._entries(self._config.retries) if entry.get("id") == self._model), {})
        meta = entry.get("meta")
        said = [entry.get(key) for key in ("owned_by", "root", "parent")]
        said += [meta.get(key) if isinstance(meta, dict) else None for key in ("n_params", "size", "ftype")]
        effort = self._config.reasoning_effort
        return combine([self._url, self._model, *map(str, said), *([effort] if effort else [])])

    def models(self) -> list[str]:
        """The names of the models that the server lists, if it does. Raises LLMError when nothing answers."""
        return [str(entry.get("id")) for entry in self._entries(tries=1)]

    def generate(self, requests: Sequence[Request], skip: Collection[int] = ()) -> Iterator[tuple[int, Completion]]:
        """See `kb.llm.base.LLM.generate`. Ending the iteration early cancels what is under way.

        Raises LLMError when nothing answers at the URL, when the key, the model or the URL is refused, and when the
        server asks for a pause longer than `timeout`.
        """
        skipped = frozenset(skip)
        todo = [index for index in range(len(requests)) if index not in skipped]
        limit = Limit(self._config.concurrency)

        async def work(put: Put[tuple[int, Completion]]) -> None:
            await self._all(_Run(requests, limit, put), todo)

        if todo:
            yield from in_background(work, most=limit.most)

    def close(self) -> None:
        """Nothing stays open after a call of `generate`."""

    async def _all(self, run: _Run, todo: Sequence[int]) -> None:
        """Answer all, by as many workers as may be in flight: tasks and memory do not grow with the list."""
        waiting = deque(todo)
        async with self._client(openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(run.limit.most):
                        if waiting:
                            group.create_task(self._work(run, client, waiting))
                            await asyncio.sleep(APART)
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from None

    async def _work(self, run: _Run, client: openai.AsyncOpenAI, waiting: deque[int]) -> None:
        while waiting:
            index = waiting.popleft()
            await run.put((index, await self._answer(run, client, run.requests[index])))

    async def _answer(self, run: _Run, client: openai.AsyncOpenAI, request: Request) -> Completion:
        """Try until there is an answer, or the tries are used up, or another try cannot help."""
        if request.schema and not self._schemas:
            return Completion("", "error", "the server refuses JSON schemas", refused=True)
        began = time.monotonic()
        failures: list[Failure] = []
        while len(failures) < max(1, self._config.retries) and (not failures or failures[-1].again):
            if failures:
                await asyncio.sleep(backoff(len(failures)))
            async with run.limit.slot() as started:
                result = await self._try(run, client, request)
            if isinstance(result, Completion):
                run.answers += 1
                run.limit.answered()
                return replace(result, seconds=time.monotonic() - started)
            failures.append(result)
            if result.overload:
                run.limit.overloaded(started, self._bearable(result))
        if run.heard < began and all(failure.unreachable for failure in failures):
            raise self._silent(failures[-1])
        if request.schema and refuses_schema(failures[-1]):
            self._give_up_schemas(request, failures[-1])
        tries = f" ({len(failures)} tries)" if len(failures) > 1 else ""
        reason = self._without_key(failures[-1].reason) + tries
        return Completion("", "error", reason, refused=not failures[-1].again)

    def _give_up_schemas(self, request: Request, failure: Failure) -> None:
        """Send no schema any more; the stages ask for lines instead."""
        if self._schemas and request != PROBE:
            reason = self._without_key(failure.reason)
            log.warning("%s refuses a JSON schema (%s): it is asked for lines from here on", self.label, reason)
        self._schemas = False

    async def _try(self, run: _Run, client: openai.AsyncOpenAI, request: Request) -> Completion | Failure:
        """One request. Raises LLMError when the server refuses in a way that concerns every request."""
        try:
            raw = await client.chat.completions.with_raw_response.create(**self._body(request))
            run.heard = time.monotonic()
            return read_answer(raw.content, request.stop)
        except openai.APIStatusError as error:
            run.heard = time.monotonic()
            status = error.status_code
            # Some gateways answer 403 to a single prompt that their moderation dislikes.
            if status in (401, 404) or status < 400 or (status == 403 and not run.answers):
                raise self._refused(error) from None
            return explain(error)
        except openai.APIConnectionError as error:
            failure = explain(error)
            if not failure.unreachable:
                run.heard = time.monotonic()
            return failure

    def _body(self, request: Request) -> dict[str, Any]:
        """The request as the protocol has it; a seed is sent only where there is something to draw."""
        body: dict[str, Any] = {
            "model": self._model, "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.max_tokens, "temperature": request.temperature,
        }  # fmt: skip
        if request.temperature:
            body["seed"] = request.seed
        if request.stop:
            body["stop"] = list(request.stop)
        if request.schema:
            form = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if self._config.reasoning_effort:
            body["reasoning_effort"] = self._config.reasoning_effort
        return body

    def _client(self, kind: type[Any], http: type[Any]) -> Any:
        """A client without retries of its own, without redirects, and without a proxy for a server on this machine."""
        limit = self._config.timeout
        return kind(
            base_url=self._config.base_url, api_key=self._key(), max_retries=0,
            timeout=openai.Timeout(limit, connect=min(CONNECT_SECONDS, limit)),
            http_client=http(trust_env=not _is_this_machine(self._host), follow_redirects=False),
        )  # fmt: skip

    def _entries(self, tries: int) -> list[dict[str, Any]]:
        """What GET /models lists; empty where the server has no such page. Raises LLMError when nothing answers."""
        with self._client(openai.OpenAI, openai.DefaultHttpxClient) as client:
            for number in range(1, max(1, tries) + 1):
                try:
                    return read_models(client.models.with_raw_response.list().content)
                except openai.APIStatusError as error:
                    if error.status_code not in (429, 502, 503, 504):
                        return []
                    failure = explain(error)
                except openai.APIConnectionError as error:
                    failure = explain(error)
                if number < tries:
                    log.warning("waiting for %s: %s", self._url, self._without_key(failure.reason))
                    time.sleep(max(backoff(number), self._bearable(failure)))
        raise self._silent(failure)

    def _bearable(self, failure: Failure) -> float:
        """The pause the server asks for, in seconds. Raises LLMError when it is too long to wait for."""
        if failure.pause > self._config.timeout:
            raise LLMError(
                f"{self._url} asks to wait {failure.pause:.0f} s ({self._without_key(failure.reason)}), longer than"
                f" timeout = {self._config.timeout:g}. The same command, given later, goes on where this one stopped."
            )
        return failure.pause

    def _silent(self, failure: Failure) -> LLMError:
        return LLMError(
            f"nothing answers at {self._url} ({self._without_key(failure.reason)}). Start the server (`vllm serve`,"
            " `ollama serve`, `llama-server`, `transformers serve`) or set base_url under [model] in kb.toml."
        )

    def _refused(self, error: openai.APIStatusError) -> LLMError:
        said = f"{self._url} answers {self._without_key(explain(error).reason)}."
        if error.status_code in (401, 403):
            variable = self._config.api_key_env
            state = "is set" if os.environ.get(variable) else "is not set"
            return LLMError(f"{said} The key is read from the environment variable {variable}, which {state}.")
        if error.status_code == 404:
            with suppress(LLMError):
                said += f" It lists these models: {', '.join(self.models()) or 'none'}."
            return LLMError(f"{said} Check the name {self._model!r}, and base_url, which usually ends in /v1.")
        return LLMError(
            f"{said} Set base_url under [model] to {error.response.headers.get('location', 'where it leads')}."
        )

    def _key(self) -> str:
        return os.environ.get(self._config.api_key_env) or "EMPTY"

    def _without_key(self, text: str) -> str:
        """The text without the key, which some servers repeat in their errors."""
        return text.replace(self._key(), "***") if self._key() != "EMPTY" else text


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
