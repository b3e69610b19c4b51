"""A server within this process, which is asked odd things."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aleph.errors import InputError
from benchmarks.safety.api import Request

LARGEST = 200_000
"""Pixels of a picture that the server takes: what is asked of it costs little then."""


class Server:
    """The application with a model, in a thread, without a socket.

    Args:
        model: A model folder.
    """

    def __init__(self, model: Path) -> None:
        from starlette.testclient import TestClient

        from aleph.web.app import create_app
        from aleph.web.engine import Engine
        from aleph.web.limits import Limits

        self._web = create_app(Engine("cpu", str(model)), limits=Limits(pixels=LARGEST))
        self._client: Any = TestClient(self._web.app, "http://127.0.0.1")
        self._client.__enter__()
        self.jobs: list[str] = []

    def ask(self, request: Request) -> None:
        """Send a request; return when nothing of it is left to do.

        Raises:
            InputError: with the sentence of a refusal.
            AssertionError: if it is answered as nothing may be.
        """
        headers = [(name.encode("latin-1"), value.encode("latin-1"))
                   for name, value in request.headers]  # fmt: skip
        answer = self._client.request(
            request.method, request.path, content=request.body, headers=headers
        )
        if answer.status_code == 202:
            self.jobs = [*self.jobs, answer.json()["id"]][-8:]
        assert self._web.jobs.wait_idle(60), "a job does not end"
        status = answer.status_code
        assert status < 500 or status == 501, f"{status}: {answer.text[:200]}"
        if status >= 400 and request.method != "HEAD":
            raise InputError(_sentence(answer.text))


def _sentence(text: str) -> str:
    """Return the sentence of a refusal; what is none is returned as it is."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"no sentence:\n{text}"
