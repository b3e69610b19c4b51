"""Who may talk to the server: no foreign host or origin, no request without the token, no flood."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aleph.web.jobs import Draining, QueueFull

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


CheckRoom = Callable[[str, str, str], None]

_LOCKED = ("/api/", "/metrics")
"""Paths that need the token, where there is one."""

_LINGER = 5.0
"""Seconds for which the body of a refused request is received, and dropped."""


@dataclass(frozen=True)
class _Refused:
    """A refusal: its status, its sentence, and the seconds to wait where waiting helps."""

    status: int
    detail: str
    retry_after: int = 0


@dataclass(frozen=True)
class Door:
    """Under which names the server may be called, and with what token.

    Attributes:
        host: The address that it listens on.
        token: Asked of every request; None on the loopback.
        names: Further names that it may be called by.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    names: tuple[str, ...] = ()

    def knows(self, host: str) -> bool:
        """Return whether a Host header (without its port) names this server.

        A name that an attacker's DNS points here ("rebinding") is none of ours. Numeric addresses
        cannot be rebound; they are taken where the server listens beyond the loopback.
        """
        if host in {"localhost", self.host.lower(), *(name.lower() for name in self.names)}:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return not is_loopback(self.host) and host == socket.gethostname().lower()
        return address.is_loopback or not is_loopback(self.host)

    def opens(self, given: str | None) -> bool:
        """Return whether this is the token, or none is needed."""
        if self.token is None:
            return True
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware in front of everything.

    Args:
        app: What is guarded.
        door: Who may come in.
        upload_bytes: Bytes that a request's body may have.
        check_room: Called with the method, the path and the client of a request before its body is
            read; raises `QueueFull` or `Draining` where it would be read in vain.
    """

    def __init__(
        self, app: ASGIApp, door: Door, upload_bytes: int, check_room: CheckRoom = lambda *_: None
    ) -> None:
        self.app, self.door, self.upload_bytes = app, door, upload_bytes
        self.check_room = check_room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refused = self._refusal(headers, scope["path"]) or self._crowded(scope)
        if refused:
            await _refuse(refused, receive, send_safely, self.upload_bytes)
        else:
            await self.app(scope, self._counted(receive), send_safely)

    def _crowded(self, scope: Scope) -> _Refused | None:
        try:
            self.check_room(scope["method"], scope["path"], client_of(scope))
        except QueueFull as full:
            return _Refused(429, str(full), full.retry_after)
        except Draining as draining:
            return _Refused(503, str(draining), draining.retry_after)
        return None

    def _refusal(self, headers: Headers, path: str) -> _Refused | None:
        """Return a refusal, None where there is no reason for one."""
        if not self.door.knows(_host_name(headers.get("host", ""))):
            return _Refused(
                403, "this server is not called by that host name; see aleph serve --allow-host"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return _Refused(403, "requests from other origins are refused")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and headers.get("sec-fetch-mode") != "navigate":
            return _Refused(403, "requests from other sites are refused")
        # The page itself holds no secret; it sends the token with whatever it asks for.
        if path.startswith(_LOCKED) and not self.door.opens(_token(headers)):
            return _Refused(401, "a token is needed: send the header that aleph serve printed")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.upload_bytes:
            return _Refused(413, self._too_long())
        return None

    def _counted(self, receive: Receive) -> Receive:
        """Count the bytes of a body whose length was not told."""
        left = self.upload_bytes

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, self._too_long())
            return message

        return counted

    def _too_long(self) -> str:
        return f"the request is too large: at most {self.upload_bytes / 2**20:.0f} MiB are allowed"


def client_of(scope: Scope) -> str:
    """Return who sends a request: the address that it comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _host_name(header: str) -> str:
    """Return a Host header without its port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _token(headers: Headers) -> str | None:
    """Return the token of a request."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


async def _refuse(refused: _Refused, receive: Receive, send: Send, most: int) -> None:
    """Answer without reading the body first."""
    body = json.dumps({"detail": refused.detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.retry_after:
        headers.append((b"retry-after", b"%d" % refused.retry_after))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # Closed at once, the connection would be reset while the client still sends, and many clients
    # would never see the answer: what they send is dropped for a while.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            await _drop(receive, most)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drop(receive: Receive, most: int) -> None:
    """Receive a body of up to `most` bytes, keeping nothing."""
    while most >= 0:
        message = await receive()
        most -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return
