"""`kb serve`: an OpenAI-compatible server of base, RAG, tuned and tuned+RAG."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kb.chat import parse_arm
from kb.errors import KBError, LLMError, UsageError
from kb.llm.base import ModelConfig
from kb.llm.exported import carries_runs
from kb.llm.open import find_folder, is_local
from kb.prompt import Prompts
from kb.retrieval.hybrid import Retriever
from kb.runs import all_runs, find_run
from kb.serving.asking import Desk, Served
from kb.serving.config import ServeConfig, loopback
from kb.serving.engines import Local, Remote, listed
from kb.serving.vllm import command, shown, template
from kb.workspace import Workspace, write_text

log = logging.getLogger(__name__)

GRACE = 3
"""Seconds that connections get to end after Ctrl-C."""
STARTING = 900.0
"""Seconds that vLLM may take to load a model."""


@dataclass(frozen=True)
class Ready:
    """A server that is about to answer."""

    url: str
    models: tuple[str, ...]
    current: str
    """The run that `tuned` is; empty where there is none."""
    server: Any
    socket: socket.socket

    def lines(self) -> list[str]:
        """For the terminal."""
        used = f" (tuned: run {self.current})" if self.current else ""
        return [f"{self.url}  models: {', '.join(self.models)}{used}", "Ctrl-C ends it"]

    def run(self) -> None:
        """Answer until Ctrl-C or a signal to end."""
        with suppress(KeyboardInterrupt):
            self.server.run(sockets=[self.socket])


@contextmanager
def opened(
    workspace: Workspace, config: ServeConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever
) -> Iterator[Ready]:
    """The server with everything loaded, its port taken; closed at the end.

    Raises UsageError for a port in use or a run that this base cannot carry, ModelUnavailable where there is no model,
    KBError where a package is missing or vLLM does not start.
    """
    try:
        import uvicorn

        from kb.serving.app import build
    except ImportError as error:
        raise KBError(f"kb serve needs {error.name}: pip install 'kb[serve]'") from error
    with ExitStack() as stack:
        listening = stack.enter_context(_bound(config.host, config.port))
        served = stack.enter_context(_served(workspace, config, model, prompts))
        desk = Desk(workspace.store, prompts, retriever, served)
        current = find_run(workspace.store) if "tuned" in desk.names() else None
        if current:
            served.of(parse_arm("tuned"))
        if config.is_open:
            log.warning(
                "anyone who reaches %s can ask about these documents: set --api-key-env, or leave out --host",
                config.host,
            )
        app = build(desk, config.key, loopback(config.host))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE))
        url = f"http://{config.host}:{listening.getsockname()[1]}/v1"
        yield Ready(url, tuple(desk.names()), current.name if current else "", server, listening)


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises UsageError for an address that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
            taken.listen()
        except OSError as error:
            raise UsageError(f"cannot listen at {host}:{port}: {error.strerror}. Choose another --port") from error
        yield taken


@contextmanager
def _served(workspace: Workspace, config: ServeConfig, model: ModelConfig, prompts: Prompts) -> Iterator[Served]:
    if config.engine == "local":
        yield Local(workspace.store, model, prompts)
        return
    if not is_local(model.name):
        raise UsageError(f"{model.name} is a server already and is served by engine = local")
    if config.backend_url:
        yield Remote(workspace.store, model, config.backend_url)
        return
    with _vllm(workspace, model) as url:
        yield Remote(workspace.store, model, url)


@contextmanager
def _vllm(workspace: Workspace, model: ModelConfig) -> Iterator[str]:
    """A vLLM server of this machine's, until the end; its URL. Raises KBError where it is not there or ends."""
    from kb.llm.weights import load_tokenizer

    base = find_folder(model.name)
    file = workspace.root / "vllm-template.jinja"
    write_text(file, template(load_tokenizer(base).chat_template))
    carried = all_runs(workspace.store) if carries_runs(model.name) else []
    runs = [run for run in carried if run.adapter.exists()]
    with _bound("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    words = command(base, runs, model, file, "127.0.0.1", port)
    if not shutil.which(words[0]):
        raise KBError(
            "vLLM is not installed here (pip install vllm, in an environment of its own). Where it is, start"
            f"\n  {shown(words)}\nand give its address: kb serve --engine vllm --backend-url http://HOST:PORT/v1"
        )
    log.info("starting %s", shown(words))
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        yield _awaited(server, f"http://127.0.0.1:{port}/v1", model)
    finally:
        server.terminate()
        server.wait(60)


def _awaited(server: subprocess.Popen[bytes], url: str, model: ModelConfig) -> str:
    """The URL, once the server answers there."""
    end = time.monotonic() + STARTING
    while server.poll() is None and time.monotonic() < end:
        with suppress(LLMError):
            listed(url, model)
            return url
        time.sleep(1)
    raise KBError(f"vLLM did not start; its own messages above say why{_gpu_missing()}")


def _gpu_missing() -> str:
    """What to add where a missing GPU is the likely reason."""
    import torch

    if torch.cuda.is_available():
        return ""
    return ". torch finds no GPU here, and vLLM needs one unless it is built for CPUs: --engine local needs none"
