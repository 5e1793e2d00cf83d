"""The FastAPI application: GET /v1/models, POST /v1/chat/completions, GET /health."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kb.errors import KBError, UsageError
from kb.serving.asking import Answer, Asked, Desk
from kb.serving.protocol import Posted, completion, listing, piece

LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]


class Unwanted(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Has questions answered on threads of its own: on one for a model in this process."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._threads = ThreadPoolExecutor(desk.served.concurrency, "answers")
        self._closing = threading.Event()

    async def pieces(self, posted: Asked) -> AsyncIterator[str | Answer]:
        """The answer in pieces, and last the whole of it. A caller that goes away ends the generation.

        Raises KBError where the question cannot be asked.
        """
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[str]()
        gone = threading.Event()

        def tell(text: str) -> None:
            if gone.is_set() or self._closing.is_set():
                raise Unwanted
            if text:
                loop.call_soon_threadsafe(queue.put_nowait, text)

        running = loop.run_in_executor(self._threads, self.desk.answer, posted, tell)
        running.add_done_callback(lambda _: queue.put_nowait(""))
        try:
            while text := await queue.get():
                yield text
            yield await running
        finally:
            gone.set()

    async def whole(self, posted: Asked) -> Answer:
        """The answer. Raises KBError where the question cannot be asked."""
        found = [part async for part in self.pieces(posted)][-1]
        assert isinstance(found, Answer)
        return found

    def close(self) -> None:
        """End what is under way at its next token."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


def build(desk: Desk, key: str, local: bool) -> FastAPI:
    """The application. With a `key`, each request must bring it; where it is `local`, only this machine's names are
    answered, so that no page in a browser gets at the documents by a name that it points here.
    """
    worker = Worker(desk)

    def known(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key and not hmac.compare_digest(given.encode(), key.encode()):
            raise HTTPException(401, "the key is missing or wrong")

    @asynccontextmanager
    async def open_until_the_end(_: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    # No pages of documentation: they would load scripts from elsewhere.
    app = FastAPI(title="kb serve", docs_url=None, redoc_url=None, openapi_url=None, lifespan=open_until_the_end)
    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    for kind in (UsageError, KBError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _told)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models", dependencies=[Depends(known)])
    def models() -> dict[str, object]:
        return listing(desk.names())

    @app.post("/v1/chat/completions", dependencies=[Depends(known)])
    async def chat(posted: Posted) -> Response:
        asked, id = posted.asked(), f"chatcmpl-{uuid.uuid4().hex}"
        try:
            desk.arm(asked.model)
        except UsageError as error:
            raise HTTPException(404, str(error)) from error
        if posted.stream:
            return StreamingResponse(_events(worker, asked, id), media_type="text/event-stream")
        answer = await worker.whole(asked)
        return _failed(answer) or JSONResponse(completion(id, asked.model, answer))

    return app


def _failed(answer: Answer) -> JSONResponse | None:
    """What a model or server could not do, as an error; None for an answer."""
    done = answer.done
    return _error(400 if done.refused else 502, done.error) if done.error else None


def _error(status: int, message: str) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": None, "param": None}}, status)


async def _told(request: Request, error: Exception) -> JSONResponse:
    """An error in OpenAI's form."""
    if isinstance(error, HTTPException):
        return _error(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return _error(400, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")
    return _error(400 if isinstance(error, UsageError) else 502, str(error))


async def _events(worker: Worker, asked: Asked, id: str) -> AsyncIterator[str]:
    try:
        async for part in worker.pieces(asked):
            if isinstance(part, Answer) and part.done.error:
                yield f"data: {json.dumps({'error': {'message': part.done.error}})}\n\n"
            elif isinstance(part, Answer):
                yield piece(id, asked.model, answer=part)
            else:
                yield piece(id, asked.model, part)
    except KBError as error:
        yield f"data: {json.dumps({'error': {'message': str(error)}}, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"
