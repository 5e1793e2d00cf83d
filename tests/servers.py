"""An OpenAI-compatible server that fails on purpose: over real HTTP, in a thread, repeatable from a seed."""

from __future__ import annotations

import json
import random
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from kb.llm.base import Completion, Message, Request

JUNK = "Sure! Here's what you asked for ☺ 好的，没问题"
"""What a model says that did not understand; parses as nothing."""

FAULTS = (
    "not_json", "junk", "truncated", "refused", "dropped", "rate_limited", "rate_limited_wait", "broken", "slow",
)  # fmt: skip
"""Malformed body, malformed content, cut at the limit, content filter, connection closed without a reply, 429 without
and with Retry-After, 500, and an answer that takes `slow_seconds`. Besides these a plan may name "no_choices",
"bad_request" (a prompt too long), "template" (a chat that the template refuses, as llama.cpp says it), "stubborn"
(malformed content until the request quotes it and says what is wrong) and any status, such as "403"."""


def prompt_of(body: dict) -> str:
    """What a request asks: the first message of the user; later ones are about the answer."""
    return next(message["content"] for message in body["messages"] if message["role"] == "user")


def was_corrected(body: dict) -> bool:
    """Whether a request ends with the malformed answer and a word about it."""
    return len(body["messages"]) > 2 and body["messages"][-2] == {"role": "assistant", "content": JUNK}


def hold(text: str, schema: dict) -> str:
    """The text where it is an object with the schema's keys, else the least object that the schema allows."""
    with suppress(ValueError):
        if json.loads(text).keys() == schema["properties"].keys():
            return text
    least = {key: part["enum"][0] if "enum" in part else [] for key, part in schema["properties"].items()}
    return json.dumps(least)


class FaultyServer:
    """Answers chat completions by `answer` (first user message in, text out), except where the plan has a fault.

    `faults` gives each kind its probability, or all kinds together one. The draw depends on the seed, the prompt and
    how often it was asked, not on the order of arrival. A prompt that `doomed` gives a kind of fault always meets it;
    all others are answered well at the latest after `most` faults. `lift` ends all faults. `url` ends in /v1; the only
    model is "m".

    `schemas` says what becomes of a request for JSON of a schema: "ignored", "honoured" or "refused"; it may change at
    any time. With a `script` the whole request is answered by it, as a `FakeLLM` does, and not by `answer`.
    """

    def __init__(
        self,
        answer: Callable[[str], str] = lambda prompt: f"answer to {prompt}",
        faults: Mapping[str, float] | float = 0.0,
        seed: int = 0,
        doomed: Callable[[str], str | None] = lambda prompt: None,
        most: int = 1_000_000,
        slow_seconds: float = 0.05,
        retry_after: str = "0.02",
        models: bool = True,
        key: str = "",
        seconds: float = 0.0,
        port: int = 0,
        schemas: str = "ignored",
        script: Callable[[Request], Completion] | None = None,
    ) -> None:
        shares = dict.fromkeys(FAULTS, faults / len(FAULTS)) if isinstance(faults, float) else dict(faults)
        self.answer, self.faults, self.seed, self.doomed, self.most = answer, shares, seed, doomed, most
        self.schemas, self.script = schemas, script
        self.slow_seconds, self.retry_after, self.models, self.key, self.seconds = (
            slow_seconds, retry_after, models, key, seconds,
        )  # fmt: skip
        self.counts: Counter[str] = Counter()
        """How often each kind of fault was met; "ok" for answers without one."""
        self.asked: Counter[str] = Counter()
        """How often each prompt came."""
        self.bodies: list[dict] = []
        self.keys: set[str] = set()
        self.most_in_flight = 0
        self._met: Counter[str] = Counter()
        self.in_flight = 0
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def lift(self) -> None:
        """From now on answer everything well."""
        self.faults, self.doomed = {}, lambda prompt: None

    def close(self) -> None:
        """Stop listening and hang up, as a server that dies does."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._http.connections):
            with suppress(OSError):  # Closed by the client.
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def text(self, body: dict) -> str:
        """What the model says to a request."""
        schema = body["response_format"]["json_schema"]["schema"] if "response_format" in body else None
        held = schema is not None and self.schemas == "honoured"
        if self.script is None:
            text = self.answer(prompt_of(body))
        else:
            chat = tuple(Message(**message) for message in body["messages"])
            wanted = json.dumps(schema) if held else ""
            text = self.script(Request(chat, body["max_tokens"], seed=body.get("seed", 0), schema=wanted)).text
        return hold(text, schema) if held else text

    def begin(self, body: dict) -> str:
        """Note a request and choose its fault; "ok" for none."""
        prompt = prompt_of(body)
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.bodies.append(body)
            self.asked[prompt] += 1
            kind = self._choose(prompt)
            self._met[prompt] += kind != "ok"
            self.counts[kind] += 1
        return kind

    def end(self) -> None:
        """Note that a request is over."""
        with self._lock:
            self.in_flight -= 1

    def _choose(self, prompt: str) -> str:
        always = self.doomed(prompt)
        if always:
            return always
        if self._met[prompt] >= self.most:
            return "ok"
        draw = random.Random(f"{self.seed}/{prompt}/{self.asked[prompt]}").random()
        for kind, share in self.faults.items():
            draw -= share
            if draw < 0:
                return kind
        return "ok"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: FaultyServer

    def __init__(self, *arguments) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address) -> None:
        """Remember the connection, to hang up on."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request) -> None:
        """Forget the connection."""
        self.connections.discard(request)
        super().close_request(request)

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format, *arguments) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        """GET /v1/models."""
        if not self.server.owner.models or self.path != "/v1/models":
            return self._error(404, "no such page")
        entry = {"id": "m", "object": "model", "created": int(time.time()), "owned_by": "tests"}
        return self._send(200, json.dumps({"object": "list", "data": [entry]}).encode())

    def do_POST(self) -> None:
        """POST /v1/chat/completions."""
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        owner.keys.add(given)
        if owner.key and given != owner.key:
            return self._error(401, f"wrong key {given}")
        if self.path != "/v1/chat/completions":
            return self._error(404, "no such page")
        if "response_format" in body and owner.schemas == "refused":
            owner.counts["schema"] += 1
            return self._error(400, "response_format of type json_schema is not supported")
        if body["model"] != "m":
            return self._error(404, f"the model {body['model']} does not exist")
        kind = owner.begin(body)
        try:
            time.sleep(owner.slow_seconds if kind == "slow" else owner.seconds)
            return self._reply(kind, body)
        finally:
            owner.end()

    def _reply(self, kind: str, body: dict) -> None:
        prompt = prompt_of(body)
        if kind == "dropped":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if kind == "rate_limited":
            return self._error(429, "too many requests")
        if kind == "rate_limited_wait":
            return self._error(429, "too many requests", ("Retry-After", self.server.owner.retry_after))
        if kind == "broken":
            return self._error(500, "something broke")
        if kind.isdigit():
            return self._error(int(kind), f"status {kind}", ("Location", "http://127.0.0.1:9/v1"))
        if kind == "template":
            return self._error(500, "Jinja Exception: Conversation roles must alternate")
        if kind == "bad_request":
            return self._error(400, "this model's maximum context length is 4096 tokens")
        if kind == "not_json":
            return self._send(200, b'{"choices": [{"message": {"content": "half')
        if kind == "no_choices":
            return self._send(200, b'{"choices": []}')
        if kind == "stubborn":
            kind = "ok" if was_corrected(body) else "junk"
        text = self.server.owner.text(body)
        finish = {"truncated": "length", "refused": "content_filter"}.get(kind, "stop")
        text = {"junk": JUNK, "truncated": text[: len(text) // 2]}.get(kind, text)
        return self._send(200, _completion(text, finish, prompt))

    def _error(self, status: int, message: str, *headers: tuple[str, str]) -> None:
        self._send(status, json.dumps({"error": {"message": message, "type": "error"}}).encode(), *headers)

    def _send(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(content))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _completion(text: str, finish: str, prompt: str) -> bytes:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(text), "total_tokens": len(prompt) + len(text)}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body, ensure_ascii=False).encode()
