"""How busy the harness keeps a server, and what batching gains on a model of this machine.

    python benchmarks/engine.py [--requests 2560] [--latencies 1 0.25 0.1] [--prompts 100] [--rounds 3]
        [--workspace FOLDER] [--out FILE]

A stand-in for vLLM, in a process of its own, has 64 slots and answers every request after the same time. It is asked
as `kb generate-qa` asks, through the store on disk, and by the bare `openai` package with a semaphore. The lab model
is asked by `LocalLLM.generate` and one prompt after the other by the `generate` of transformers. The ways take turns
within a round, so that what else the machine does falls on all of them, and figures are medians over the rounds.
Passages, answers and prompts are those of the demo, whose first two commands are run before without --workspace.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

import openai

from kb.corpora.demo import prepare
from kb.evaluate.arms import ANSWER_TOKENS
from kb.llm import Item, ModelConfig, Request, ask, open_model, user
from kb.llm.base import Message
from kb.llm.open import lab_folder
from kb.prompt import Prompts
from kb.qa_gen.replies import parse_facts
from kb.records import Chunk, Fact, Question
from kb.store import Store
from kb.text.terms import count_tokens
from kb.workspace import Workspace, write_text

if TYPE_CHECKING:
    from kb.llm.local import LocalLLM

SLOTS = 64
PROMPT, REPLY = 1500, 200
"""Tokens, as kb estimates them."""
BUSY, GAIN = 0.97, 3.0
"""What is wanted: the share of the slots' time, and the local gain over one prompt at a time."""
STEPS = ("facts", "questions", "answers")
"""Steps of `kb generate-qa` whose prompts the local model is asked: long answers, middling ones and short ones."""
DIRECT = build_opener(ProxyHandler({}))
"""Asks the server for its figures, past any proxy."""


# The server.


@dataclass
class Busy:
    """What the slots did since the first request."""

    arrived: int = 0
    flying: int = 0
    most: int = 0
    integral: float = 0.0
    """Seconds that slots were taken, of all slots together."""
    first: float = 0.0
    last: float = 0.0
    """When the last change was: at the end the last reply."""
    full: tuple[float, float] = (0.0, 0.0)
    """When the last request arrived, and the integral until then: from here on slots can only become free."""

    def change(self, by: int) -> None:
        """A request arrives or its reply is sent."""
        now = time.perf_counter()
        if not self.arrived:
            self.first = self.last = now
        self.integral += self.flying * (now - self.last)
        self.flying, self.last = self.flying + by, now
        self.most = max(self.most, self.flying)
        if by > 0:
            self.arrived += 1
            self.full = now, self.integral


class Slots(asyncio.Protocol):
    """A connection of HTTP/1.1: chat completions after `seconds`, and GET for what the benchmark wants to know."""

    busy = Busy()
    seconds = 0.0
    reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        self.transport, self.read = transport, b""

    def data_received(self, data: bytes) -> None:
        """Take in what came; a whole request is answered."""
        self.read += data
        head, ended, body = self.read.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not ended or len(body) < (int(length[1]) if length else 0):
            return
        self.read = b""
        if head.startswith(b"GET"):
            self.send(self.told(head.split()[1].decode()))
            return
        self.busy.change(1)
        asyncio.get_running_loop().call_later(self.seconds, self.finish)

    def told(self, path: str) -> bytes:
        """GET /begin/SECONDS starts anew with this latency, /busy tells what was, all else lists the model."""
        if path.startswith("/begin/"):
            type(self).seconds, type(self).busy = float(path.removeprefix("/begin/")), Busy()
        if path == "/busy":
            return json.dumps(asdict(self.busy)).encode()
        return json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()

    def finish(self) -> None:
        """Reply, and free the slot."""
        self.send(self.reply)
        self.busy.change(-1)

    def send(self, content: bytes) -> None:
        """Send a page."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        assert isinstance(self.transport, asyncio.WriteTransport)
        self.transport.write(head.encode() + content)


def serve(text: str, told: Connection) -> None:
    """Answer everything with this text until the process is ended; the port is told first."""
    usage = {"prompt_tokens": PROMPT, "completion_tokens": REPLY, "total_tokens": PROMPT + REPLY}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    Slots.reply = json.dumps(whole, ensure_ascii=False).encode()

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Slots, "127.0.0.1", 0, backlog=256)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def served(text: str) -> Iterator[str]:
    """The server's address."""
    context = multiprocessing.get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(text, telling), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{told.recv()}"
    finally:
        process.terminate()
        process.join()


# Its clients.


@dataclass(frozen=True)
class Turn:
    """One way to have all requests answered, as server and client saw it."""

    busy: float
    """Share of the slots' time that they were taken, from the first request to the last reply."""
    full: float
    """The same until the last request arrived."""
    tail: float
    """Seconds from then to the last reply."""
    seconds: float
    """Wall time of the client, from the list of requests to the list of answers."""
    cpu: float
    """CPU seconds of the client's process."""


def by_kb(url: str, requests: Sequence[Request]) -> None:
    """As every stage asks: through a store on disk."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder), create=True)
        llm = open_model(ModelConfig(name="openai:m", base_url=f"{url}/v1", concurrency=SLOTS))
        items = [Item(str(number), request) for number, request in enumerate(requests)]
        results = list(ask(llm, place.store, items, parse_facts, "generate: facts", show=False))
        assert len(results) == len(requests)
        assert not any(result.reason for result in results)
        place.store.close()


def by_openai(url: str, requests: Sequence[Request]) -> None:
    """The bare package, answers kept in memory."""

    async def run() -> None:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="EMPTY", http_client=http) as client:
            gate = asyncio.Semaphore(SLOTS)

            async def one(request: Request) -> object:
                messages: Any = [asdict(message) for message in request.messages]
                async with gate:
                    return await client.chat.completions.create(
                        model="m", messages=messages, max_tokens=request.max_tokens, temperature=0.0
                    )

            await asyncio.gather(*map(one, requests))

    asyncio.run(run())


BARE = "bare `openai`"
CLIENTS: dict[str, Callable[[str, Sequence[Request]], None]] = {BARE: by_openai, "kb": by_kb}
SERVER_TABLE = [
    "| latency | client | slots busy | until the last request arrived | tail | ideal / real time | share |"
    " time, bare = 1 | requests/s | client's CPU a request |",
    "|" + " --- |" * 10,
]


def turn(url: str, latency: float, requests: Sequence[Request], client: str) -> Turn:
    """Have all requests answered by one client."""
    with DIRECT.open(f"{url}/begin/{latency}"):
        pass
    cpu, begun = time.process_time(), time.perf_counter()
    CLIENTS[client](url, requests)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    with DIRECT.open(f"{url}/busy") as page:
        busy = Busy(**json.load(page))
    assert busy.arrived == len(requests), "an answer was asked for twice"
    assert busy.most <= SLOTS, "more in flight than there are slots"
    whole, (arrived, until) = busy.last - busy.first, busy.full
    full = until / (SLOTS * (arrived - busy.first))
    return Turn(busy.integral / (SLOTS * whole), full, busy.last - arrived, seconds, cpu)


def middle(turns: Sequence[Turn], name: str) -> float:
    """The median of a figure."""
    values: list[float] = [getattr(one, name) for one in turns]
    return statistics.median(values)


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median over the rounds of how one figure stands to another."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def row(latency: float, client: str, turns: dict[str, list[Turn]], count: int) -> str:
    """A line of the table."""
    own, ideal = turns[client], count * latency / SLOTS
    seconds = middle(own, "seconds")
    against = ratio([one.seconds for one in own], [one.seconds for one in turns[BARE]])
    cells = [
        f"{latency:g} s", client, f"{middle(own, 'busy'):.1%}", f"{middle(own, 'full'):.1%}",
        f"{middle(own, 'tail'):.2f} s", f"{ideal:.1f} s / {seconds:.1f} s", f"{ideal / seconds:.1%}",
        f"{against:.3f}", f"{count / seconds:.0f}", f"{1000 * middle(own, 'cpu') / count:.1f} ms",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def serving(store: Store, count: int, latencies: Sequence[float], rounds: int) -> list[str]:
    """The server's part of the page."""
    requests, table, said = long_requests(store, count), [], ""
    with served(reply(store)) as url:
        for client in CLIENTS:
            turn(url, 0.0, requests[:SLOTS], client)
        for latency in latencies:
            turns: dict[str, list[Turn]] = {client: [] for client in CLIENTS}
            for number in range(rounds):
                for client in list(CLIENTS)[:: -1 if number % 2 else 1]:
                    turns[client].append(turn(url, latency, requests, client))
            table += [row(latency, client, turns, count) for client in CLIENTS]
            print("\n".join(table[-2:]), file=sys.stderr, flush=True)
            said = said or f"With a latency of {latency:g} s {wanted(middle(turns['kb'], 'busy'), BUSY, '.1%')}."
    return [*introduction(count), said, "", *SERVER_TABLE, *table]


def wanted(value: float, least: float, form: str) -> str:
    """A figure with what was wanted of it."""
    return f"kb reaches {value:{form}}; {least:{form}} were wanted"


def long_requests(store: Store, count: int) -> list[Request]:
    """The prompt for facts over different passages of the demo's text, each about `PROMPT` tokens long."""
    lines = [line for chunk in store.all(Chunk, "language = 'en'") for line in chunk.text.splitlines() if line]
    prompt = Prompts().get("kb.qa_gen", "facts", "en")
    requests = []
    for number in range(count):
        passage = [f"Staff handbook > Part {number + 1}"]
        left = PROMPT - count_tokens(prompt.system)
        while left > 0:
            passage.append(lines[(number + len(passage)) % len(lines)])
            left -= count_tokens(passage[-1])
        requests.append(Request(user(prompt.fill(passage="\n".join(passage)), prompt.system), max_tokens=1024))
    return requests


def reply(store: Store) -> str:
    """Facts as the prompt wants them, about `REPLY` tokens."""
    text = ""
    for fact in store.all(Fact, "language = 'en'"):
        if count_tokens(text) < REPLY:
            text += f"QUOTE: {fact.evidence}\nFACT: {fact.statement}\nANSWER: {fact.answer}\n"
    return text


# The model on this machine.

LOCAL_TABLE = ["| prompts | number | one by one | batched | ratio | equal answers |", "|" + " --- |" * 6]
LOCAL_INTRODUCTION = [
    "Prompts of the demo, greedy, both ways on the same weights with the same limits of new tokens: one after the",
    "other by `generate` of transformers, and as kb has them answered, in batches of similar length.",
]


def demo(folder: Path) -> Path:
    """The workspace of the demo after its first two commands."""
    prepare(folder)
    for words in (["ingest", "docs"], ["generate-qa"]):
        command = [str(Path(sys.executable).with_name("kb")), *words]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / ".kb"


def stored(store: Store, sampled: bool = False) -> dict[str, list[Request]]:
    """The requests of a run of `kb generate-qa`, by step, with the sampled ones, of which some followed bad answers, or
    without.
    """
    found: dict[str, list[Request]] = {}
    for line in store.sql("SELECT stage, request FROM llm_calls WHERE stage LIKE 'generate: %' ORDER BY seq"):
        given = json.loads(line["request"])
        given |= {"messages": tuple(Message(**one) for one in given["messages"]), "stop": tuple(given["stop"])}
        if sampled or not given["temperature"]:
            found.setdefault(line["stage"].removeprefix("generate: "), []).append(Request(**given))
    return found


def closed_book(store: Store) -> list[Request]:
    """Held-out questions without passages, as `kb eval` asks the base: one a fact."""
    prompts = Prompts(lab_folder() / "prompts")
    first: dict[str, Question] = {}
    for question in store.all(Question, "split = 'probe' AND fact_id != ''"):
        first.setdefault(question.fact_id, question)
    filled = ((prompts.get("kb", "closed", one.language), one.text) for one in first.values())
    return [Request(user(prompt.fill(question=text), prompt.system), ANSWER_TOKENS) for prompt, text in filled]


def spread(requests: Sequence[Request], count: int) -> list[Request]:
    """So many of them, evenly spaced."""
    chosen = min(count, len(requests))
    return [requests[number * len(requests) // chosen] for number in range(chosen)]


Way = Callable[["LocalLLM", Sequence[Request]], list[str]]


def batched(llm: LocalLLM, requests: Sequence[Request]) -> list[str]:
    """The answers as kb has them made."""
    made = dict(llm.generate(requests))
    return [made[number].text for number in range(len(requests))]


def one_by_one(llm: LocalLLM, requests: Sequence[Request]) -> list[str]:
    """The answers of a plain loop over the same model."""
    model, tokenizer = llm.weights.model, llm.weights.tokenizer
    texts = []
    for request in requests:
        chat = [asdict(message) for message in request.messages]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        made = model.generate(**ids.to(model.device), max_new_tokens=request.max_tokens, do_sample=False)
        texts.append(tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return texts


@dataclass
class Answered:
    """Requests, answered in several ways in turn."""

    times: dict[str, list[float]]
    """Seconds of each round, by the way's name."""
    texts: dict[str, list[str]]

    def median(self, way: str) -> float:
        """Seconds of a way."""
        return statistics.median(self.times[way])


def answered(llm: LocalLLM, requests: Sequence[Request], ways: Sequence[Way], rounds: int) -> Answered:
    """Answer the requests in every way, once a round."""
    done = Answered({way.__name__: [] for way in ways}, {})
    for number in range(rounds):
        for way in ways[:: -1 if number % 2 else 1]:
            begun = time.perf_counter()
            done.texts[way.__name__] = way(llm, requests)
            done.times[way.__name__].append(time.perf_counter() - begun)
    return done


def local_row(name: str, done: Answered) -> str:
    """A kind of prompts, one by one and batched."""
    plain, ours = done.texts["one_by_one"], done.texts["batched"]
    equal = sum(one == other for one, other in zip(plain, ours, strict=True))
    gain = ratio(done.times["one_by_one"], done.times["batched"])
    seconds = f"{done.median('one_by_one'):.1f} s | {done.median('batched'):.1f} s"
    return f"| {name} | {len(ours)} | {seconds} | {gain:.1f} | {equal} |"


def local(llm: LocalLLM, store: Store, count: int, rounds: int) -> list[str]:
    """The local part of the page."""
    steps = stored(store)
    kinds = {step: spread(steps[step], count) for step in STEPS}
    kinds["closed-book questions"] = spread(closed_book(store), count)
    table, total = [], Answered({}, {})
    for name, requests in kinds.items():
        answered(llm, requests[:2], (one_by_one, batched), 1)
        done = answered(llm, requests, (one_by_one, batched), rounds)
        table.append(local_row(name, done))
        print(table[-1], file=sys.stderr, flush=True)
        for way, times in done.times.items():
            before = total.times.get(way, [0.0] * rounds)
            total.times[way] = [one + other for one, other in zip(before, times, strict=True)]
            total.texts[way] = total.texts.get(way, []) + done.texts[way]
    gain = ratio(total.times["one_by_one"], total.times["batched"])
    said = f"Of all prompts together {wanted(gain, GAIN, '.1f')}."
    return [*LOCAL_INTRODUCTION, said, "", *LOCAL_TABLE, *table, local_row("together", total)]


def page(workspace: Path, given: argparse.Namespace) -> str:
    """The Markdown page."""
    store = Workspace(workspace).store
    server = serving(store, given.requests, given.latencies, given.rounds)
    # Only now: the threads of torch are no part of the server's client.
    from kb.llm.local import LocalLLM
    from kb.llm.weights import load_weights

    config = ModelConfig(name="lab")
    llm = LocalLLM(load_weights(lab_folder(), config.load_in_4bit, config.batch_tokens, None))
    latencies = " ".join(f"{latency:g}" for latency in given.latencies)
    command = f"--requests {given.requests} --latencies {latencies} --prompts {given.prompts} --rounds {given.rounds}"
    command += " --workspace FOLDER" if given.workspace else ""
    made = f"Made by `python benchmarks/engine.py {command}` on {os.cpu_count()} cores; medians of {given.rounds}."
    parts = [
        ["# How busy a server is kept, and what batching gains", "", made],
        ["## A server with a fixed latency", "", *server],
        ["## The lab model on this machine", "", *local(llm, store, given.prompts, given.rounds)],
    ]
    store.close()
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def introduction(count: int) -> list[str]:
    """What the server's table means."""
    return [
        f"{count} requests of about {PROMPT} tokens, replies of about {REPLY}, {SLOTS} slots; client and server on one",
        "machine. The share is the ideal time, every slot taken from first to last, over the client's real one.",
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2560)
    parser.add_argument("--latencies", type=float, nargs="+", default=[1.0, 0.25, 0.1], help="seconds")
    parser.add_argument("--prompts", type=int, default=100, help="prompts of each kind for the local model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="of a demo in which `kb generate-qa` ran; made anew without it")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        text = page(given.workspace or demo(Path(made)), given)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
