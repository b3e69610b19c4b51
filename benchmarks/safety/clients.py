"""Clients of a server: some behave, others hang up, cancel, send junk, dawdle or pry."""

from __future__ import annotations

import io
import json
import secrets
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11
import httpx
import numpy as np
from PIL import Image

from benchmarks.safety.api import PREFIX, odd_request
from benchmarks.safety.seeds import pictures

WELL = (200, 202, 204, 429)
"""What those who behave may be answered."""

PATIENCE = 180.0
"""Seconds that a client waits for an answer."""

UNASKED, LATE = 0, -1
"""What stands in the place of a status: nothing was waited for, or in vain."""

SIZES = (64, 96, 160)
"""Sides of the pictures that are filled, in pixels."""


@dataclass
class Answers:
    """What all clients were answered.

    Attributes:
        statuses: How often each status came, by what was done; also `UNASKED` and `LATE`.
        seconds: Time of each fill that was waited for, `PATIENCE` of one that did not come.
        problems: What must not happen, a sentence each.
    """

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, answer: httpx.Response, allowed: Callable[[int], bool]) -> None:
        """Note an answer."""
        status = answer.status_code
        with self._lock:
            self.statuses[name][status] += 1
            if not allowed(status):
                self.problems.append(f"{name}: {status}: {answer.text[:300]}")

    def late(self, name: str) -> None:
        """Note that a client has waited in vain, which must not happen."""
        with self._lock:
            self.statuses[name][LATE] += 1
            self.problems.append(f"{name}: no answer within {PATIENCE:.0f} s")
            if name == "fill":
                self.seconds.append(PATIENCE)

    def fault(self, sentence: str) -> None:
        """Note what must not happen."""
        with self._lock:
            self.problems.append(sentence)


def behaves(status: int) -> bool:
    """Return whether a client who behaves may be answered this."""
    return status in WELL


def at_fault(status: int) -> bool:
    """Return whether a client who does not behave may be answered this."""
    return status in WELL or 400 <= status < 500 or status == 501


class Client:
    """One client.

    Args:
        address: Of the server.
        own: The address that it asks from.
        seed: Of what it does.
        answers: Where it notes what it is answered.
    """

    def __init__(self, address: str, own: str, seed: int, answers: Answers) -> None:
        self.rng = np.random.default_rng([seed, 0x50AC])
        self.answers, self.address = answers, address
        self._seeds = [each.data for each in pictures()]
        transport = httpx.HTTPTransport(local_address=own)
        self.http = httpx.Client(base_url=address, transport=transport, timeout=PATIENCE)
        self._own = own
        self._ways: tuple[tuple[float, Callable[[], None]], ...] = (
            (0.4, self.fill),
            (0.12, self.follow),
            (0.1, self.hang_up),
            (0.1, self.cancel),
            (0.1, self.junk),
            (0.04, self.dawdle),
            (0.07, self.pry),
            (0.07, self.look_around),
        )

    def run(self, end: float) -> None:
        """Do one thing after the other until a moment (of the monotonic clock)."""
        shares = np.array([share for share, _ in self._ways])
        with self.http:
            while time.monotonic() < end:
                _, way = self._ways[int(self.rng.choice(len(shares), p=shares / shares.sum()))]
                try:
                    way()
                except (httpx.TimeoutException, TimeoutError):
                    self.answers.late(way.__name__.replace("_", " "))
                except Exception as error:  # whatever it is, the client goes on
                    self.answers.fault(f"{way.__name__}: {type(error).__name__}: {error}")

    def _files(self) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
        """Return an upload, its picture and its hole."""
        side = int(self.rng.choice(SIZES))
        coarse = self.rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        picture = coarse.repeat(8, 0).repeat(8, 1)
        hole = np.zeros((side, side), bool)
        hole[side // 4 : side // 2, side // 3 : side // 2] = True
        files = {"image": _png(picture), "mask": _png(hole.astype(np.uint8) * np.uint8(255))}
        return files, picture, hole

    def _post(self, name: str, wait: bool) -> tuple[httpx.Response, np.ndarray, np.ndarray]:
        """Ask for a fill; where all places are taken, wait as long as the server says."""
        files, picture, hole = self._files()
        answer = self.http.post(
            f"{PREFIX}/inpaint", params={"wait": wait}, files=files, data={"preset": "fast"}
        )
        self.answers.add(name, answer, behaves)
        if answer.status_code == 429:
            time.sleep(min(5.0, float(answer.headers["retry-after"])))
        return answer, picture, hole

    def fill(self) -> None:
        """Fill a picture and look at it."""
        began = time.monotonic()
        answer, picture, hole = self._post("fill", True)
        if answer.status_code == 200:
            self.answers.seconds.append(time.monotonic() - began)
            self._look_at(answer.content, picture, hole)

    def _look_at(self, data: bytes, picture: np.ndarray, hole: np.ndarray) -> None:
        with Image.open(io.BytesIO(data)) as filled:
            pixels = np.asarray(filled.convert("RGB"))
        if pixels.shape != picture.shape or not np.array_equal(pixels[~hole], picture[~hole]):
            self.answers.fault("a fill is of another picture")

    def follow(self) -> None:
        """Fill a picture as a job: follow its events, fetch the result, forget it."""
        answer, picture, hole = self._post("follow", False)
        if answer.status_code != 202:
            return
        job = answer.headers["location"]
        last = ""
        with self.http.stream("GET", f"{job}/events") as events:
            for line in events.iter_lines():
                last = line[7:] if line.startswith("event: ") else last
        if last != "done":
            self.answers.fault(f"follow: a job ended as '{last}'")
            return
        result = self.http.get(f"{job}/result")
        self.answers.add("follow", result, behaves)
        if result.status_code == 200:
            self._look_at(result.content, picture, hole)
        self.answers.add("follow", self.http.delete(job), behaves)

    def cancel(self) -> None:
        """Ask for a job and cancel it soon; it is forgotten then."""
        answer, _, _ = self._post("cancel", False)
        if answer.status_code != 202:
            return
        time.sleep(float(self.rng.uniform(0, 1)))
        job = answer.headers["location"]
        self.answers.add("cancel", self.http.delete(job), behaves)
        self.answers.add("cancel", self.http.get(f"{job}/result"), lambda s: s in (404, 409))

    def hang_up(self) -> None:
        """Ask for a fill and go away, in the midst of sending it or of waiting."""
        files, _, _ = self._files()
        request = self.http.build_request(
            "POST", f"{PREFIX}/inpaint", files=files, data={"preset": "fast"}
        )
        data = _wire(request)
        sent = data if self.rng.random() < 0.6 else data[: int(self.rng.integers(len(data)))]
        with self._connected() as connection:
            connection.sendall(sent)
            time.sleep(float(self.rng.uniform(0, 1.5)))
        self.answers.statuses["hang up"][UNASKED] += 1

    def junk(self) -> None:
        """Send an odd request, or bytes that are none."""
        if self.rng.random() < 0.2:
            with self._connected() as connection:
                connection.sendall(self.rng.bytes(int(self.rng.integers(1, 5000))) + b"\r\n\r\n")
                connection.settimeout(PATIENCE)
                status = connection.recv(4096).split(b" ")[1:2]
            self.answers.statuses["junk"][int(status[0]) if status else UNASKED] += 1
            if status and not at_fault(int(status[0])):
                self.answers.fault(f"junk: bytes were answered {status[0]!r}")
            return
        asked = odd_request(self.rng, self._seeds)
        headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in asked.headers]
        try:
            answer = self.http.request(
                asked.method, asked.path, content=asked.body, headers=headers
            )
        except (h11.ProtocolError, httpx.ProtocolError, httpx.WriteError):
            self.answers.statuses["junk"][UNASKED] += 1  # it was not even sent, or hung up on
            return
        self.answers.add("junk", answer, at_fault)
        if answer.status_code == 202:
            self.http.delete(f"{PREFIX}/jobs/{answer.json()['id']}")

    def dawdle(self) -> None:
        """Send a request slowly: the others must not wait for it."""
        files, _, _ = self._files()
        request = self.http.build_request("POST", f"{PREFIX}/display", files={
            "image": files["image"]})  # fmt: skip
        data = _wire(request)
        with self._connected() as connection:
            for part in np.array_split(np.frombuffer(data, np.uint8), 8):
                connection.sendall(part.tobytes())
                time.sleep(float(self.rng.uniform(0.2, 1.5)))
            status = self._answered("dawdle", connection)
        if status != 200:
            self.answers.fault(f"dawdle: {status}")

    def pry(self) -> None:
        """Ask for what is not there, and for what is others'."""
        forged = secrets.token_urlsafe(18)
        ways: list[tuple[str, str, dict[str, str]]] = [
            ("GET", f"{PREFIX}/jobs/{forged}/result", {}),
            ("DELETE", f"{PREFIX}/jobs/{forged}", {}),
            ("GET", f"{PREFIX}/photos/..%2f..%2fetc%2fpasswd", {}),
            ("GET", "/..%2f..%2f..%2fetc/passwd", {}),
            ("GET", "/static/../../app.py", {}),
            ("GET", f"{PREFIX}/models", {"Host": "evil.example"}),
            ("GET", f"{PREFIX}/models", {"Origin": "http://evil.example"}),
        ]
        if self.rng.random() < 0.15:
            self._threaten()
            return
        method, path, headers = ways[int(self.rng.integers(len(ways)))]
        answer = self.http.request(method, path, headers=headers)
        self.answers.add("pry", answer, lambda status: 400 <= status < 500)

    def _threaten(self) -> None:
        """Say that a terabyte will be sent."""
        head = f"POST {PREFIX}/display HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {10**12}"
        with self._connected() as connection:
            connection.sendall(f"{head}\r\n\r\n".encode())
            status = self._answered("pry", connection)
        if status != 413:
            self.answers.fault(f"pry: {status} for a terabyte")

    def _answered(self, act: str, connection: socket.socket) -> int:
        """Wait for the status of what was sent by hand, and count it."""
        connection.settimeout(PATIENCE)
        status = int(connection.recv(4096).split(b" ")[1])
        self.answers.statuses[act][status] += 1
        return status

    def look_around(self) -> None:
        """Ask for what everybody may: the page, the models, a sample, weights, health."""
        path = ("/", f"{PREFIX}/models", f"{PREFIX}/samples", "/healthz", "/readyz", "/metrics")
        if self.rng.random() < 0.5:
            answer = self.http.get(path[int(self.rng.integers(len(path)))])
        else:
            files, _, _ = self._files()
            answer = self.http.post(f"{PREFIX}/weights", files={"mask": files["mask"]})
        self.answers.add("look around", answer, behaves)
        if answer.headers.get("content-type", "").startswith("application/json"):
            json.loads(answer.text)

    def _connected(self) -> socket.socket:
        where = urlsplit(self.address)
        assert where.hostname
        return socket.create_connection((where.hostname, where.port or 80), 30, (self._own, 0))


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _wire(request: httpx.Request) -> bytes:
    """Return a request as the bytes that are sent."""
    target = request.url.raw_path.decode()
    head = [f"{request.method} {target} HTTP/1.1", "Connection: close"]
    head += [f"{name}: {value}" for name, value in request.headers.items() if name != "connection"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + request.read()
