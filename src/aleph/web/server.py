"""Binding, telling the address, and stopping without losing what runs."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import uvicorn

from aleph.errors import InputError
from aleph.web.app import Web, create_app
from aleph.web.crew import Crew
from aleph.web.engine import Engine
from aleph.web.folder import PhotoFolder
from aleph.web.guard import Door, is_loopback
from aleph.web.limits import Limits
from aleph.workers.choose import WorkersWanted

_FETCHING = 2.0
"""Seconds in which clients fetch what was finished last, before the server goes."""


@dataclass(frozen=True)
class ServeSettings:
    """How to serve.

    Attributes:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        token: Asked of every client; one is made up where the host is not the loopback.
        names: Names that the server may be called by besides its address.
        model: Default model.
        device: As for `Inpainter.from_pretrained`.
        grace: Seconds that SIGTERM leaves the running search to finish.
        photos: Folder of photos to work through.
        browse: Whether the page is opened in this machine's browser.
        workers: Who fills; None for this process.
        limits: What clients may ask for.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    model: str | None = None
    device: str = "auto"
    grace: float = 60.0
    photos: Path | None = None
    browse: bool = False
    workers: WorkersWanted | None = None
    limits: Limits = field(default_factory=Limits)


def serve(settings: ServeSettings, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: How.
        say: Told what a person should know.

    Raises:
        InputError: if the address cannot be bound, the token is too short to protect anything, or
            the folder holds no photos.
        ModelError: if the default model or its detector is not there or cannot be used.
    """
    door = Door(settings.host, _token(settings), settings.names)
    photos = None if settings.photos is None else PhotoFolder(settings.photos)
    engine = Engine(
        settings.device,
        settings.model,
        settings.limits.preview_interval,
    )
    engine.prepare()
    with _crew(engine, settings.workers) as crew:
        web = create_app(engine, door, settings.limits, photos, crew)
        _run(web, door, settings, say)


@contextlib.contextmanager
def _crew(engine: Engine, wanted: WorkersWanted | None) -> Iterator[Crew | None]:
    """Start the workers that were asked for, and end them."""
    if wanted is None:
        yield None
        return
    crew = Crew(engine, wanted)
    try:
        crew.start()
        yield crew
    finally:
        crew.stop()


def _run(web: Web, door: Door, settings: ServeSettings, say: Callable[[str], None]) -> None:
    """Listen, tell the address, and answer until a signal comes."""
    listening = _listen(settings.host, settings.port)
    port = listening.getsockname()[1]
    address = page_address(settings.host, port)
    config = uvicorn.Config(
        web.app, log_level="warning", timeout_graceful_shutdown=10, server_header=False
    )
    server = _Server(config, web, settings.grace, say)
    fragment = f"#token={quote(door.token)}" if door.token else ""
    say(f"open {address}/{fragment}  (stop with Ctrl+C)")
    if door.token:
        say(f"programs send the header  Authorization: Bearer {door.token}")
    if settings.browse:
        # It connects once the server accepts: until then its request waits in the socket's queue.
        here = address if is_loopback(settings.host) else f"http://127.0.0.1:{port}"
        webbrowser.open(f"{here}/{fragment}")
    server.run(sockets=[listening])


def _token(settings: ServeSettings) -> str | None:
    if settings.token is not None and len(settings.token) < 8:
        raise InputError(
            "the token must have at least 8 characters; leave it out to get a good one"
        )
    if settings.token is None and not is_loopback(settings.host):
        return secrets.token_urlsafe(24)
    return settings.token


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise InputError(
            f"cannot listen on {host}, port {port}: {reason}; choose another with --port"
        ) from None
    listening.listen(128)
    return listening


def page_address(host: str, port: int) -> str:
    """Return an address of the page, one that other machines can open if any is."""
    name = _own_address(host) if host in ("0.0.0.0", "::") else host
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}"


def _own_address(host: str) -> str:
    """Return this machine's address in its network, its name if it has none.

    To connect a UDP socket sends nothing: it only chooses the interface towards an address, here
    towards one that is kept for documentation (RFC 5737, RFC 3849).
    """
    ways = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]
    for family, far in ways if host == "::" else ways[:1]:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    return socket.gethostname()


class _Server(uvicorn.Server):
    """Goes on serving after the first SIGTERM until the running search is finished."""

    def __init__(
        self, config: uvicorn.Config, web: Web, grace: float, say: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._web, self._grace, self._say = web, grace, say
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: at once on SIGINT, after the running search on SIGTERM."""
        # A signal may arrive while its own thread holds the lock of the jobs.
        if sig == signal.SIGTERM and not self._draining:
            self._draining = True
            threading.Thread(target=self._drain, daemon=True).start()
            return
        threading.Thread(target=self._web.jobs.stop, daemon=True).start()
        super().handle_exit(sig, frame)

    def _drain(self) -> None:
        jobs = self._web.jobs
        if jobs.drain():
            self._say(f"stopping: the running search has {self._grace:.0f} s to finish")
            if jobs.wait_idle(self._grace):
                time.sleep(_FETCHING)
            else:
                self._say("stopping: the running search did not finish and is cancelled")
        jobs.stop()
        self.should_exit = True
