"""Requests to the HTTP API: odd options, names, bodies, headers and numbers of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import cv2
import numpy as np

from benchmarks.safety.mutants import mutated
from benchmarks.safety.seeds import SHAPE

PREFIX = "/api/v1"


def _mask() -> bytes:
    """Return a sound mask for pictures of the seeds' shape."""
    height, width = SHAPE
    mask = np.zeros(SHAPE, np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 255
    return cv2.imencode(".png", mask)[1].tobytes()


_MASK = _mask()
_BOUNDARY = "aleph-of-a-mutant"

_WORDS = (
    *("", " ", "0", "1", "-1", "2", "1e308", "-1e309", "NaN", "nan", "inf", "Infinity", "1.5"),
    *("9" * 400, "9" * 5000, "0x10", "1_0", "१", "２", "true", "null", "[]", "{}", '"', "'"),
    *("auto", "face", "0,0,9,9", "1,2,3", "-1,-1,999999,999999", "nan,nan,nan,nan", "1e9,0,1,1"),
    *(
        "\x00",
        "a\x00b",
        "\n",
        "\r\nX: y",
        "é",
        "e\u0301",
        "\u202e",
        "\ud800",
        "😀" * 50,
        "x" * 9000,
    ),
    *("../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "%2e%2e%2f", "C:\\", "file:///etc"),
    *("faces-64", "tiny", "hf://user/model", "left=20%", "left=0%", "up=3%", "<script>", "${x}"),
    *("png", "jpg", "gif", "mp4", "webp", "fast", "balanced", "thorough", "yeh2017", "PNG"),
)
"""Words at which programs stumble."""

_FIELDS = {
    "model": ("faces-64", ""),
    "preset": ("fast",),
    "weighting": ("uniform", "box", "inverse"),
    "norm": ("l1", "l2"),
    "prior_weight": ("0", "0.1"),
    "latent_weight": ("0", "0.1"),
    "steps": ("0", "1", "3"),
    "start": ("encoder", "random"),
    "starts": ("1", "2"),
    "blending": ("paste", "poisson", "matern", "refined"),
    "candidates": ("1", "2"),
    "seed": ("0", "7"),
    "frame": ("auto", "whole", "face", "0,0,16,16"),
    "eyes": ("8,8,20,8",),
    "outside": ("texture", "smooth"),
    "extend": ("left=20%", "top=10%"),
    "format": ("png", "jpg", "webp", "tif", "avif", "bmp"),
}
"""Fields of a fill, with values that they may have and that cost little."""

_QUERIES = ("wait", "candidate", "format", "side", "area", "unknown", "")

_PLACES = (
    ("POST", "/inpaint", ("image", "mask")),
    ("POST", "/inpaint", ("image", "mask")),
    ("POST", "/inpaint", ("image", "mask")),
    ("POST", "/weights", ("mask",)),
    ("POST", "/display", ("image",)),
    ("POST", "/check", ("image",)),
    ("POST", "/frames", ("image", "mask")),
    ("GET", "/jobs/{}", ()),
    ("GET", "/jobs/{}/events", ()),
    ("GET", "/jobs/{}/result", ()),
    ("GET", "/jobs/{}/animation", ()),
    ("DELETE", "/jobs/{}", ()),
    ("GET", "/samples/{}/photo", ()),
    ("GET", "/photos/{}", ()),
    ("GET", "/{}", ()),
)
"""Methods, paths, and the files that they take."""

_HEADERS = (
    *("Host", "Origin", "Authorization", "Range", "If-Range", "If-None-Match", "Last-Event-ID"),
    *("Sec-Fetch-Site", "Content-Type", "Accept-Encoding", "X-Forwarded-For", "Cookie"),
)

_VALUES = (
    *("", "bytes=0-", "bytes=-1", "bytes=5-2", "bytes=" + "0-1," * 300 + "0-1", "evil.example"),
    *("http://evil.example", "null", "Bearer x", "Bearer \xff", "Basic eA==", "-1", "9" * 400),
    *("multipart/form-data", "multipart/form-data; boundary=", "application/json", "\xe9" * 300),
    *("multipart/form-data; boundary=" + "x" * 5000, "application/x-www-form-urlencoded"),
    *("cross-site", "127.0.0.1:1@evil.example", "[::1", "text/html; charset=utf-7"),
)


@dataclass
class Request:
    """A request.

    Attributes:
        method: As `POST`.
        path: With its query, percent-encoded.
        body: Its bytes.
        headers: Name and value, in Latin-1.
    """

    method: str
    path: str
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


def odd_request(
    rng: np.random.Generator, pictures: Sequence[bytes], jobs: Sequence[str] = ()
) -> Request:
    """Return a request that is odd somewhere.

    Args:
        rng: Decides everything.
        pictures: Sound files.
        jobs: Numbers of jobs that there are or were.
    """
    method, path, files = _PLACES[int(rng.integers(len(_PLACES)))]
    if rng.random() < 0.05:
        method = _one(rng, ("GET", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "DELETE", "POST"))
    if "{}" in path:
        path = path.format(quote(_job(rng, jobs), safe="/" if rng.random() < 0.3 else ""))
    if rng.random() < 0.3:
        path += "?" + "&".join(f"{_one(rng, _QUERIES)}={_quoted(rng)}" for _ in range(_few(rng)))
    request = Request(method, PREFIX + path if rng.random() < 0.95 else path)
    if files:
        request.body = _form(rng, files, pictures)
        request.headers.append(("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}"))
        if rng.random() < 0.1:
            request.body = mutated(request.body, [], rng)
    for _ in range(_few(rng) if rng.random() < 0.2 else 0):
        request.headers.append((_one(rng, _HEADERS), _one(rng, _VALUES)))
    return request


def _one(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _few(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 4))


def _quoted(rng: np.random.Generator) -> str:
    return quote(_one(rng, _WORDS).encode("utf-8", "surrogatepass"))


def _job(rng: np.random.Generator, jobs: Sequence[str]) -> str:
    """Return the number of a job: one that was there, one that was forged of it, or any word."""
    if jobs and rng.random() < 0.6:
        known = _one(rng, jobs)
        if rng.random() < 0.5:
            return known
        at = int(rng.integers(len(known)))
        return known[:at] + chr(int(rng.integers(33, 127))) + known[at + 1 :]
    return _one(rng, _WORDS).encode("utf-8", "replace").decode()


def _form(rng: np.random.Generator, files: Sequence[str], pictures: Sequence[bytes]) -> bytes:
    """Return a form with files and options, some of them odd."""
    parts = []
    for name in files:
        if rng.random() < 0.04:
            continue
        usual = name == "mask" and rng.random() < 0.6
        data = _MASK if usual else pictures[int(rng.integers(len(pictures)))]
        if rng.random() < 0.3:
            data = mutated(data, [], rng)
        told = _one(rng, _WORDS) if rng.random() < 0.3 else "photo.png"
        parts.append(_part(name, data, told, rng))
    for _ in range(int(rng.integers(0, 5))):
        name = _one(rng, tuple(_FIELDS))
        value = _one(rng, _WORDS if rng.random() < 0.4 else _FIELDS[name])
        if name == "preset" and value != "fast" and rng.random() < 0.9:
            value = "fast"  # the others are no odder, and take longer
        parts.append(_part(name, value.encode("utf-8", "surrogatepass"), None, rng))
    if rng.random() < 0.02:
        parts += [_part(_one(rng, _WORDS), b"x", None, rng)] * int(rng.choice([3, 1100]))
    order = rng.permutation(len(parts))
    return b"".join(parts[number] for number in order) + f"--{_BOUNDARY}--\r\n".encode()


def _part(name: str, data: bytes, told: str | None, rng: np.random.Generator) -> bytes:
    """Return a part of a form."""
    if rng.random() < 0.03:
        name = _one(rng, _WORDS)
    says = f'Content-Disposition: form-data; name="{name}"'
    if told is not None:
        says += f'; filename="{told}"\r\nContent-Type: {_one(rng, ("image/png", *_VALUES[:4]))}'
    head = f"--{_BOUNDARY}\r\n{says}\r\n\r\n".encode("utf-8", "surrogatepass")
    return head + data + b"\r\n"
