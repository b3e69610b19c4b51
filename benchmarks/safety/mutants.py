"""Mutants: sound files cut, flipped, spliced, and made to say wrong sizes, texts and profiles."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Bytes = bytearray
Mutation = Callable[[Bytes, np.random.Generator], Bytes]

_ODD = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""Numbers at which programs stumble."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mutated(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Return a mutant of a file: one to three mutations, one after the other.

    Args:
        data: The sound file.
        others: Further sound files, to splice it with.
        rng: Decides everything.
    """
    body = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if body.startswith(_SIGNATURE) and rng.random() < 0.6:
            body = _mutate_png(body, rng)
        elif rng.random() < 0.1 and others:
            body = _splice(body, others[int(rng.integers(len(others)))], rng)
        else:
            body = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))](body, rng)
    return bytes(body)


def _place(body: Bytes, rng: np.random.Generator) -> int:
    """Return a place in a file; half of them lie at its beginning, where the sizes are."""
    reach = len(body) if rng.random() < 0.5 else min(len(body), 64)
    return int(rng.integers(max(1, reach)))


def _cut(body: Bytes, rng: np.random.Generator) -> Bytes:
    return body[: _place(body, rng)]


def _flip(body: Bytes, rng: np.random.Generator) -> Bytes:
    for _ in range(int(rng.integers(1, 9))):
        if body:
            body[_place(body, rng)] ^= 1 << int(rng.integers(8))
    return body


def _overwrite(body: Bytes, rng: np.random.Generator) -> Bytes:
    at, size = _place(body, rng), int(rng.integers(1, 17))
    fill = (bytes(size), b"\xff" * size, rng.bytes(size))[int(rng.integers(3))]
    body[at : at + size] = fill[: max(0, len(body) - at)]
    return body


def _number(body: Bytes, rng: np.random.Generator) -> Bytes:
    """Put an odd number over a field, in either byte order."""
    value, kind = _ODD[int(rng.integers(len(_ODD)))], ("B", "H", "I")[int(rng.integers(3))]
    order = "<" if rng.random() < 0.5 else ">"
    field = struct.pack(order + kind, value & (1 << 8 * struct.calcsize(kind)) - 1)
    at = _place(body, rng)
    body[at : at + len(field)] = field[: max(0, len(body) - at)]
    return body


def _drop(body: Bytes, rng: np.random.Generator) -> Bytes:
    at = _place(body, rng)
    del body[at : at + int(rng.integers(1, 65))]
    return body


def _repeat(body: Bytes, rng: np.random.Generator) -> Bytes:
    at, size = _place(body, rng), int(rng.integers(1, 65))
    body[at:at] = body[at : at + size]
    return body


def _splice(body: Bytes, other: bytes, rng: np.random.Generator) -> Bytes:
    return body[: _place(body, rng)] + bytearray(other)[_place(bytearray(other), rng) :]


_MUTATIONS: tuple[Mutation, ...] = (_cut, _flip, _overwrite, _number, _number, _drop, _repeat)


def _mutate_png(body: Bytes, rng: np.random.Generator) -> Bytes:
    """Mutate one chunk of a PNG, and make its check sum right again."""
    chunks, at = [], len(_SIGNATURE)
    while at + 12 <= len(body):
        (size,) = struct.unpack_from(">I", body, at)
        chunks.append((bytes(body[at + 4 : at + 8]), bytearray(body[at + 8 : at + 8 + size])))
        at += size + 12
    if not chunks:
        return _flip(body, rng)
    which = int(rng.integers(len(chunks)))
    name, content = chunks[which]
    way = int(rng.integers(5))
    if way == 0:
        del chunks[which]
    elif way == 1:
        chunks.insert(int(rng.integers(len(chunks))), chunks[which])
    elif way < 4 and name in (b"iCCP", b"zTXt", b"IDAT"):
        chunks[which] = (name, _mutate_packed(name, content, rng))
    else:
        mutation = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        chunks[which] = (name, mutation(content, rng))
    return bytearray(_SIGNATURE) + b"".join(
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    )


def _mutate_packed(name: bytes, content: Bytes, rng: np.random.Generator) -> Bytes:
    """Mutate what is packed in a chunk of a PNG, and pack it again."""
    start = 0 if name == b"IDAT" else content.find(b"\0") + 2
    try:
        inner = bytearray(zlib.decompress(bytes(content[start:])))
    except zlib.error:
        return _flip(content, rng)
    mutation = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
    return content[:start] + zlib.compress(bytes(mutation(inner, rng)))


# --- model folders ----------------------------------------------------------------------------


def mutate_model(folder: Path, rng: np.random.Generator) -> None:
    """Spoil a model folder: its settings, its header, its weights, or what kind of files it has."""
    config, weights = folder / "config.json", folder / "model.safetensors"
    way = int(rng.integers(6))
    if way == 0:
        _spoil_settings(config, rng)
    elif way == 1:
        config.write_bytes(mutated(config.read_bytes(), [], rng))
    elif way == 2:
        _spoil_header(weights, rng)
    elif way == 3:
        weights.write_bytes(mutated(weights.read_bytes(), [], rng))
    elif way == 4:
        data = bytearray(weights.read_bytes())
        at = len(data) - 4 * int(rng.integers(1, len(data) // 8))
        data[at : at + 4] = struct.pack("<f", (float("nan"), float("inf"), -1e38)[at // 4 % 3])
        weights.write_bytes(data)
    else:
        _replace_file((config, weights)[int(rng.integers(2))], rng)


def _spoil_settings(path: Path, rng: np.random.Generator) -> None:
    values = json.loads(path.read_text())
    inner: dict[str, Any] = values["model"] if rng.random() < 0.8 else values
    key = sorted(inner)[int(rng.integers(len(inner)))]
    odd: list[Any] = [
        None,
        -1,
        0,
        1,
        3,
        10**12,
        1e300,
        "",
        "x\n\x1b[2J",
        [],
        {},
        True,
        "../../etc",
        "dcgan",
    ]
    inner[key] = odd[int(rng.integers(len(odd)))]
    if rng.random() < 0.2:
        inner["evil\nkey"] = inner.pop(key)
    path.write_text(json.dumps(values))


def _spoil_header(path: Path, rng: np.random.Generator) -> None:
    """Spoil the header of a safetensors file: its length, or one tensor's type, shape or place."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    if rng.random() < 0.2:
        length = (0, 1, 2**31, 2**63, size + 1)[int(rng.integers(5))]
        path.write_bytes(struct.pack("<Q", length) + data[8:])
        return
    name = sorted(header)[int(rng.integers(len(header)))]
    odd_values: dict[str, list[Any]] = {
        "dtype": ["F64", "I64", "U8", "BOOL", "F8_E4M3", "x", 3],
        "shape": [[], [0], [-1], [2**40], [1] * 60, "x"],
        "data_offsets": [[0, 0], [0, 2**62], [4, 0], [-4, 0], "x"],
    }
    if isinstance(header[name], dict):
        key = sorted(odd_values)[int(rng.integers(3))]
        header[name][key] = odd_values[key][int(rng.integers(len(odd_values[key])))]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def _replace_file(path: Path, rng: np.random.Generator) -> None:
    """Put something else than a file, or nothing, where a file should be."""
    path.unlink()
    way = int(rng.integers(4))
    if way == 0:
        path.mkdir()
    elif way == 1:
        path.symlink_to("/dev/null")
    elif way == 2:
        path.symlink_to(path.name)  # to itself
