"""Files that are broken, or too large: one sentence, little memory, no chatter."""

from __future__ import annotations

import io
import logging
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aleph.errors import InputError
from aleph.photo import limits
from aleph.photo.chatter import listening, one_line
from aleph.photo.jxl import jxl_size
from aleph.photo.limits import Limits, free_memory
from aleph.photo.opening import decoding
from aleph.photo.photo import decode_photo, read_photo
from aleph.photo.pixels import centre_square
from helpers import noise


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def png(width: int, height: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8-bit grey that declares a size, whatever its rows are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    )


# --- size -------------------------------------------------------------------------------------


def declared(kind: str) -> bytes:
    """A small file of a kind that declares 40000 × 30000 pixels."""
    width, height = 40_000, 30_000
    if kind == "PNG":
        return png(width, height, bytes(100))
    if kind == "APNG":
        control = struct.pack(">II", 2, 0)
        frame = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 1, 0, 0)
        return png(width, height, bytes(100), (b"acTL", control), (b"fcTL", frame))
    if kind == "GIF":
        whole = encoded(Image.new("P", (8, 8)), "GIF")
        return whole[:6] + struct.pack("<HH", width, height) + whole[10:]
    if kind == "BMP":
        whole = encoded(Image.new("RGB", (8, 8)), "BMP")
        return whole[:18] + struct.pack("<ii", width, height) + whole[26:]
    if kind == "WEBP":
        more = [Image.new("RGBA", (8, 8), colour) for colour in ("red", "blue")]
        whole = encoded(Image.new("RGBA", (8, 8)), "WEBP", save_all=True, append_images=more)
        at = whole.find(b"VP8X") + 12
        size = struct.pack("<I", 16_382)[:3] * 2
        return whole[:at] + size + whole[at + 6 :]
    assert kind == "TIFF"
    whole = encoded(Image.new("L", (8, 8)), "TIFF")
    for tag, value in ((256, width), (257, height)):
        at = whole.find(struct.pack("<HH", tag, 4))
        at = at if at >= 0 else whole.find(struct.pack("<HH", tag, 3))
        whole = whole[:at] + struct.pack("<HHII", tag, 4, 1, value) + whole[at + 12 :]
    return whole


PACKED = [
    *(("PNG", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "I;16")),
    *(("TIFF", mode) for mode in ("1", "L", "RGB", "I;16")),
    *(("GIF", "L"), ("WEBP", "RGB"), ("JPEG", "L"), ("JPEG", "RGB"), ("AVIF", "RGB")),
    *(("BMP", "1"), ("BMP", "P"), ("PPM", "L"), ("TGA", "L"), ("PCX", "1"), ("SGI", "L")),
]


@pytest.mark.parametrize("kind", ["PNG", "APNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_file_that_declares_more_than_it_can_hold_is_refused_at_once(kind: str) -> None:
    size = "16383×16383" if kind == "WEBP" else "40000×30000"
    with pytest.raises(InputError, match=f"is damaged: it declares {size} pixels") as caught:
        decode_photo(declared(kind), "image 'a'")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("kind", "mode"), PACKED)
def test_a_mask_without_a_mark_is_small_and_sound(kind: str, mode: str) -> None:
    options: dict[str, object] = {"WEBP": {"lossless": True}, "PNG": {"optimize": True}}.get(
        kind, {}
    )
    if kind == "TIFF":
        options = {"compression": "group4" if mode == "1" else "tiff_adobe_deflate"}
    data = encoded(Image.new(mode, (4000, 3000)), kind, **options)
    assert decode_photo(data).shape == (3000, 4000)


def test_the_limit_is_a_sentence_and_can_be_raised() -> None:
    data = encoded(Image.new("L", (300, 200)), "PNG")
    with pytest.raises(InputError) as caught:
        decode_photo(data, "image 'a.png'", Limits(megapixels=0.05))
    assert str(caught.value) == (
        "image 'a.png' has 300×200 pixels (0.06 megapixels), more than the limit of 0.05; raise it "
        "by --max-megapixels, or scale the picture down"
    )
    assert decode_photo(data, "image 'a.png'", Limits(megapixels=0.06)).shape == (200, 300)
    for wrong in (0, -1, float("nan"), 1e9):
        with pytest.raises(InputError, match="max_megapixels"):
            Limits(megapixels=wrong)


def test_a_scan_that_pil_takes_for_an_attack_is_read() -> None:
    Image.MAX_IMAGE_PIXELS, before = 1000, Image.MAX_IMAGE_PIXELS
    try:
        assert decode_photo(encoded(Image.new("L", (300, 200)), "PNG")).shape == (200, 300)
        assert Image.MAX_IMAGE_PIXELS == 1000  # as the program that uses aleph has set it
    finally:
        Image.MAX_IMAGE_PIXELS = before


class OpenedBetween:
    """A size of 20 × 20; while PIL reads it, another thread begins (or ends) to open a picture."""

    def __init__(self, begins_or_ends: Callable[[], object]) -> None:
        self.begins_or_ends = begins_or_ends

    def __getitem__(self, axis: int) -> int:
        if axis == 0:
            self.begins_or_ends()
        return 20


@pytest.mark.parametrize("limit", [1000, None])
def test_a_thread_that_cuts_pictures_does_not_stumble_over_the_limit(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    opening = listening()
    # What `crop` calls.
    for happens in (opening.__enter__, lambda: opening.__exit__(None, None, None)):
        Image._decompression_bomb_check(OpenedBetween(happens))  # type: ignore[arg-type]
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_centre_of_a_picture_that_pil_takes_for_an_attack_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert centre_square(Image.new("RGB", (60, 50)), 8).shape == (8, 8, 3)


def test_what_the_memory_does_not_hold_is_refused_before_it_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: 2**28)
    with pytest.raises(InputError, match=r"about 0\.4 GiB of memory to fill, and 0\.2 GiB are"):
        decode_photo(encoded(Image.new("L", (4000, 3000)), "PNG"))


def test_the_free_memory_is_measured() -> None:
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("size", [(8, 8), (200, 100), (1000, 750), (1025, 512), (320, 257)])
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(size: tuple[int, int]) -> None:
    jxl = pytest.importorskip("pillow_jxl", reason="nothing here writes JPEG XL")
    assert jxl is not None
    assert jxl_size(encoded(Image.new("RGB", size), "JXL")) == size
    assert jxl_size(encoded(Image.new("RGB", size), "JXL", use_container=True)) == size


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    scan = b"\xff\xda\0\x08\1\1\0\0\0\0"
    with pytest.raises(InputError, match="scans"):
        decode_photo(b"\xff\xd8\xff" + scan * 2000)


# --- whatever a decoder raises ----------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        AssertionError(),
        TypeError("'NoneType' object\nis not subscriptable"),
        IndexError("list index out of range"),
        OverflowError("x"),
        ZeroDivisionError("y"),
        KeyError("z"),
        RuntimeError("\x1b[2J"),
        zlib.error("Error -3"),
        RecursionError("deep"),
        OSError("cannot identify <_io.BytesIO object at 0x7f0>"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_decoder_raises_becomes_one_sentence(error: Exception) -> None:
    with pytest.raises(InputError) as caught, decoding("image 'a.png'"):
        raise error
    said = str(caught.value)
    assert said.startswith("image 'a.png' is damaged and cannot be decoded: ")
    assert said.isprintable()
    assert "object at 0x" not in said


def test_too_little_memory_is_not_called_damage() -> None:
    with pytest.raises(InputError, match="needs more memory than there is"), decoding("image 'a'"):
        raise MemoryError


def test_a_stop_by_the_user_is_no_damage() -> None:
    with pytest.raises(KeyboardInterrupt), decoding("image 'a'"):
        raise KeyboardInterrupt


BROKEN = {
    "a text chunk without end": png(8, 8, bytes(72), (b"zTXt", b"Title\0\0" + b"x" * 20)),
    "a profile without end": png(8, 8, bytes(72), (b"iCCP", b"name")),
    "a profile of nothing": png(8, 8, bytes(72), (b"iCCP", b"")),
    "a transparency of nothing": png(8, 8, bytes(72), (b"tRNS", b"")),
    "a header of nothing": b"\x89PNG\r\n\x1a\n\0\0\0\0IHDR\0\0\0\0",
    "a colour profile that lies": png(
        8, 8, bytes(72), (b"iCCP", b"x\0\0" + zlib.compress(bytes(128)))
    ),
    "a resolution of zero": png(8, 8, bytes(72), (b"pHYs", bytes(9))),
    "EXIF data that point nowhere": png(8, 8, bytes(72), (b"eXIf", b"MM\0*\xff\xff\xff\xff")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_odd_chunks_are_read_over_or_refused_in_one_sentence(case: str) -> None:
    try:
        photo = decode_photo(BROKEN[case])
    except InputError as error:
        assert str(error).isprintable()
    else:
        assert photo.pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_picture(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path(path).exists():
        pytest.skip("this system has no such device")
    monkeypatch.setattr("aleph.photo.opening._STREAM_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"gives more than 1 MiB|gave no data"):
        read_photo(path)


# --- chatter ----------------------------------------------------------------------------------


def test_what_a_decoder_warns_of_goes_into_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "aleph.photo"), decoding("image 'a.tif'"):
        warn_as_pil("Truncated File\nRead")
    assert [record.getMessage() for record in caplog.records] == [
        "image 'a.tif': Truncated File Read"
    ]


def test_what_a_decoder_warns_of_before_it_fails_goes_into_the_sentence() -> None:
    with pytest.raises(InputError, match=r"no more data \(Truncated File Read\)"):  # noqa: SIM117
        with decoding("image 'a.tif'"):
            warn_as_pil("Truncated File Read")
            raise OSError("no more data")


def warn_as_pil(message: str) -> None:
    warnings.warn_explicit(message, UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")


def test_warnings_of_other_threads_go_where_they_went() -> None:
    heard_here: list[str] = []

    def decode() -> None:
        with listening() as heard:
            warn_as_pil("of the decoder")
            heard_here.extend(heard)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with listening() as mine:
            other = threading.Thread(target=decode)
            other.start()
            other.join()
            plain = threading.Thread(target=lambda: warnings.warn("mine", stacklevel=1))
            plain.start()
            plain.join()
    assert heard_here == ["of the decoder"]
    assert mine == []
    assert [str(warning.message) for warning in caught] == ["mine"]


QUIET = """
import os, sys
from aleph.photo.chatter import listening
with listening() as heard:
    os.write(2, b"libpng warning: odd\\n")
    print("python's own words", file=sys.stderr)
os.write(2, b"later\\n")
print(heard)
"""


def test_c_libraries_are_heard_and_pythons_own_words_get_through() -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "['libpng warning: odd']\n"
    assert done.stderr == "python's own words\nlater\n"


def test_a_16_bit_png_cut_short_leaves_no_word_of_libpng(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import cv2

    deep = np.random.default_rng(0).integers(0, 65536, (40, 40, 3), np.uint16)
    data = cv2.imencode(".png", deep)[1].tobytes()
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(InputError):
            decode_photo(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def test_many_threads_decode_at_once() -> None:
    data = encoded(Image.fromarray(noise(20, 20)), "PNG")
    shapes: list[tuple[int, int]] = []

    def decode() -> None:
        shapes.extend(decode_photo(data).shape for _ in range(20))

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == [(20, 20)] * 160
    assert Image.MAX_IMAGE_PIXELS is not None


def test_what_others_say_is_shortened_to_one_line() -> None:
    assert one_line("two\nlines\x07.") == "two lines?"
    assert len(one_line("x" * 1000)) == 160
