"""Files in the formats that people have: read, or refused by name; nothing lost in silence."""

from __future__ import annotations

import io
import struct
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aleph.errors import InputError, OutputError, PhotoWarning
from aleph.inpainter import Inpainter
from aleph.masks.read import read_damaged, read_hole
from aleph.photo.encode import encode_photo, write_photo
from aleph.photo.formats import register_plugins
from aleph.photo.photo import Photo, decode_photo, read_photo
from helpers import noise

register_plugins()
Form = Literal["NFC", "NFD"]
SHAPE = (48, 64)
HOLE = np.zeros(SHAPE, bool)
HOLE[10:30, 10:40] = True


def smooth(height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """A picture that a lossy format keeps nearly as it is."""
    small = Image.fromarray(noise(4, 5, seed))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: NDArray[np.uint8], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def filled(photo: Photo, suffix: str, hole: NDArray[np.bool_] = HOLE) -> bytes:
    fill = photo.pixels.copy()
    fill[hole] = 200
    return encode_photo(photo, fill, hole, suffix)


# --- formats of phones ------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "suffix"), [("HEIF", ".heic"), ("JXL", ".jxl")])
def test_photos_of_phones_are_read_and_written_back(kind: str, suffix: str) -> None:
    if kind not in Image.OPEN:
        pytest.skip(f"nothing here reads {kind}: it needs the extra 'formats'")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    options = {"exif": exif.tobytes(), "quality": 95}
    photo = decode_photo(encoded(smooth(), kind, **options))
    upright = kind == "JXL"  # its writer stores pixels as they are given
    shape = SHAPE if upright else SHAPE[::-1]
    assert photo.shape == shape
    hole = HOLE if upright else HOLE.T
    after = decode_photo(filled(photo, suffix, hole))
    assert after.shape == shape
    assert np.abs(after.pixels[~hole].astype(int) - photo.pixels[~hole]).mean() < 3
    assert np.abs(after.pixels[hole].astype(int) - 200).mean() < 12
    said = Image.Exif()
    said.load(after.metadata.exif)
    assert said[0x010F] == "a camera"
    assert said.get(0x0112, 1) == 1  # or a viewer would turn it again


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
JXL = b"\0\0\0\x0cJXL \r\n\x87\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HEIC + bytes(200), "a HEIC picture"),
        (JXL + bytes(200), "a JPEG XL picture"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(200), "raw file of a camera \\(Canon CR2\\)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(99), "raw file of a camera"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(99), "raw file of a camera"),
        (b"IIU\0" + bytes(99), "raw file of a camera"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99), "a video"),
        (b"%PDF-1.7\n" + bytes(99), "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(99), "PostScript"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"></svg>', "SVG"),
        (bytes(128) + b"DICM" + bytes(99), "DICOM"),
        (b"PK\3\4" + bytes(99), "a zip archive"),
        (b"this is text", "not a picture in a known format: convert it"),
        (b"", "not a picture: it is empty"),
    ],
)
def test_what_is_not_read_is_refused_by_its_name_and_with_what_to_do(
    data: bytes, says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        decode_photo(data)
    assert str(caught.value).isprintable()
    if "known" not in says and "empty" not in says:
        assert any(word in str(caught.value) for word in ("convert", "save", "unpack"))


def dng(tags: dict[int, tuple[int, int]]) -> bytes:
    """A TIFF of 8×8 grey pixels with further tags: number → (type, value)."""
    plain = encoded(noise(8, 8)[:, :, 0], "TIFF")
    (at,) = struct.unpack_from("<I", plain, 4)
    (count,) = struct.unpack_from("<H", plain, at)
    entries = [plain[at + 2 + 12 * n : at + 14 + 12 * n] for n in range(count)]
    entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] not in tags]
    entries += [struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in tags.items()]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    return plain[:4] + struct.pack("<I", len(plain)) + plain[8:] + directory


@pytest.mark.parametrize(
    "tags", [{50706: (1, 0x00000401)}, {254: (4, 1), 330: (4, 8)}, {262: (3, 32803)}]
)
def test_a_raw_file_that_is_a_tiff_is_not_filled_by_its_preview(
    tags: dict[int, tuple[int, int]], tmp_path: Path
) -> None:
    (tmp_path / "a.tif").write_bytes(dng(tags))
    with pytest.raises(InputError, match="raw"):
        read_photo(tmp_path / "a.tif")
    (tmp_path / "a.nef").write_bytes(dng({}))
    with pytest.raises(InputError, match=r"raw file of a camera \(NEF\)"):
        read_photo(tmp_path / "a.nef")
    (tmp_path / "a.rwl").write_bytes(bytes(100))
    with pytest.raises(InputError, match=r"raw file of a camera \(RWL\)"):
        read_photo(tmp_path / "a.rwl")
    (tmp_path / "b.tif").write_bytes(dng({}))
    assert read_photo(tmp_path / "b.tif").shape == (8, 8)


def test_an_ending_that_nothing_here_writes_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "EXTENSION", {".png": "PNG"})
    with pytest.raises(OutputError, match=r"aleph-inpainting\[formats\]"):
        filled(read_photo(smooth()), ".heic")


# --- several pictures in a file ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "says"),
    [("GIF", "3 frames"), ("PNG", "3 frames"), ("WEBP", "3 frames"), ("TIFF", "3 pages")],
)
def test_of_several_pictures_the_first_is_taken_and_that_is_said(
    kind: str, says: str, tmp_path: Path
) -> None:
    pictures = [Image.fromarray(smooth(seed=seed)) for seed in range(3)]
    path = tmp_path / f"a.{kind.lower()}"
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:])
    with pytest.warns(PhotoWarning, match=f"a.{kind.lower()}': it has {says}: only the first"):
        photo, _ = read_damaged(path, HOLE)
    assert np.abs(photo.pixels.astype(int) - smooth()).mean() < 12


def test_a_file_of_one_picture_is_not_remarked_upon(tmp_path: Path) -> None:
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "JPEG"):
        assert decode_photo(encoded(smooth(), kind)).remarks == ()


GAIN_MAP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="grandmother" '
    b'hdrgm:Version="1.0"><Container:Directory><rdf:Seq><rdf:li Item:Semantic="GainMap"/>'
    b"</rdf:Seq></Container:Directory></rdf:Description></x:xmpmeta>"
)


def test_a_gain_map_is_left_out_with_a_word_and_the_file_promises_none() -> None:
    first = encoded(smooth(), "JPEG", xmp=GAIN_MAP, quality=95)
    photo = decode_photo(first + encoded(smooth()[:, :, 0], "JPEG"))
    assert any("gain map" in remark for remark in photo.remarks)
    after = Image.open(io.BytesIO(filled(photo, ".jpg"))).info["xmp"]
    assert b"grandmother" in after
    assert b"hdrgm" not in after
    assert b"GainMap" not in after


# --- previews ---------------------------------------------------------------------------------


def with_thumbnail(thumbnail: bytes, note: bytes = b"", jpeg: bool = True) -> bytes:
    """EXIF data with the camera's name, a note of its own, and a thumbnail."""
    name = b"a camera\0"
    first, second = 8, 8 + 2 + 2 * 12 + 4
    behind = second + 2 + 2 * 12 + 4
    start, length = (0x0201, 0x0202) if jpeg else (0x0111, 0x0117)
    data = b"II*\0" + struct.pack("<I", first)
    data += struct.pack("<H", 2)
    data += struct.pack("<HHII", 0x010F, 2, len(name), behind)
    data += struct.pack("<HHII", 0x927C, 7, len(note), behind + len(name))
    data += struct.pack("<I", second)
    data += struct.pack("<H", 2)
    data += struct.pack("<HHII", start, 4, 1, behind + len(name) + len(note))
    data += struct.pack("<HHII", length, 4, 1, len(thumbnail)) + struct.pack("<I", 0)
    return b"Exif\0\0" + data + name + note + thumbnail


def pictures_in(data: bytes) -> list[Image.Image]:
    found, at = [], data.find(b"\xff\xd8\xff")
    while at >= 0:
        found.append(Image.open(io.BytesIO(data[at:])).convert("RGB"))
        at = data.find(b"\xff\xd8\xff", at + 3)
    return found


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_thumbnail_shows_the_filled_photo(suffix: str) -> None:
    exif = with_thumbnail(encoded(smooth(24, 32), "JPEG"))
    photo = decode_photo(encoded(smooth(), "JPEG", exif=exif, quality=95))
    after = Image.open(io.BytesIO(filled(photo, suffix)))
    (thumbnail,) = pictures_in(after.info["exif"])
    assert thumbnail.size == (32, 24)
    assert np.abs(np.array(thumbnail)[7:13, 7:18].astype(int) - 200).mean() < 12  # the fill
    assert np.abs(np.array(thumbnail)[18:].astype(int) - smooth(24, 32)[18:]).mean() < 24
    assert after.getexif()[0x010F] == "a camera"


@pytest.mark.parametrize(
    ("thumbnail", "jpeg"),
    [(b"\xff\xd8\xff\xe0 damaged \xff\xd9", True), (smooth(24, 32).tobytes(), False)],
    ids=["damaged", "plain pixels"],
)
def test_a_thumbnail_that_cannot_be_drawn_anew_is_taken_out(thumbnail: bytes, jpeg: bool) -> None:
    exif = with_thumbnail(thumbnail, jpeg=jpeg)
    photo = decode_photo(encoded(smooth(), "PNG", exif=exif))
    after = Image.open(io.BytesIO(filled(photo, ".png")))
    assert thumbnail not in after.info["exif"]
    assert after.getexif()[0x010F] == "a camera"
    assert not after.getexif().get_ifd(1)


def test_previews_in_a_cameras_own_notes_are_blanked_and_nothing_moves() -> None:
    note = b"notes before" + encoded(smooth(12, 16), "JPEG") + b"notes behind"
    exif = with_thumbnail(encoded(smooth(24, 32), "JPEG"), note)
    photo = decode_photo(encoded(smooth(), "JPEG", exif=exif))
    after = Image.open(io.BytesIO(filled(photo, ".jpg"))).info["exif"]
    assert len(pictures_in(after)) == 1  # the thumbnail, which was drawn anew
    assert len(after) == len(exif)
    assert after.find(b"notes before") == exif.find(b"notes before")
    assert after.find(b"notes behind") == exif.find(b"notes behind")


def test_thumbnails_in_xmp_and_in_texts_are_taken_out() -> None:
    xmp = b"<x:xmpmeta><xmp:Thumbnails><rdf:li><xmpGImg:image>/9j/4AAQ</xmpGImg:image></rdf:li>"
    xmp += b"</xmp:Thumbnails><a>caption</a></x:xmpmeta>"
    photo = decode_photo(encoded(smooth(), "JPEG", xmp=xmp))
    assert photo.metadata.xmp == b"<x:xmpmeta><a>caption</a></x:xmpmeta>"


# --- cut short --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_cut_short_is_filled_with_what_is_missing(mode: str, subsampling: int) -> None:
    picture = Image.fromarray(smooth(160, 120)).convert(mode)
    buffer = io.BytesIO()
    options = {} if mode == "L" else {"subsampling": subsampling}
    picture.save(buffer, "JPEG", quality=95, **options)
    whole = buffer.getvalue()
    photo = decode_photo(whole[: len(whole) * 2 // 3])
    assert photo.missing is not None
    rows = photo.missing.all(axis=1)
    assert np.array_equal(photo.missing.any(axis=1), rows)
    assert 0.2 < rows.mean() < 0.6
    there = decode_photo(whole).samples
    assert np.array_equal(photo.samples[~rows], there[~rows])
    assert not np.array_equal(photo.samples[rows], there[rows])
    hole = np.zeros(photo.shape, bool)
    hole[2:9, 2:9] = True
    with pytest.warns(PhotoWarning, match="cut short"):
        found = read_damaged_bytes(whole[: len(whole) * 2 // 3], hole)
    assert np.array_equal(found, hole | photo.missing)


def read_damaged_bytes(data: bytes, hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jpg"
        path.write_bytes(data)
        return read_damaged(path, hole)[1]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_but_its_end_marker_is_whole(progressive: bool) -> None:
    whole = encoded(smooth(160, 120), "JPEG", progressive=progressive)
    photo = decode_photo(whole[:-2])
    assert photo.missing is None
    assert np.array_equal(photo.samples, decode_photo(whole).samples)
    assert all("nothing of it is missing" in remark for remark in photo.remarks)


def test_a_jpeg_in_passes_that_is_cut_is_said_to_lack_detail(tmp_path: Path) -> None:
    whole = encoded(noise(120, 160), "JPEG", progressive=True)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    photo = read_photo(tmp_path / "cut.jpg")
    assert photo.missing is None
    (remark,) = photo.remarks
    assert remark.endswith("nothing of it is missing; some of its fine detail may be")


def test_a_progressive_jpeg_cut_in_its_first_pass_misses_its_lower_rows() -> None:
    whole = encoded(noise(160, 120), "JPEG", progressive=True)
    first = whole.find(b"\xff\xda")
    second = whole.find(b"\xff\xc4", first)
    photo = decode_photo(whole[: (first + second) // 2])
    assert photo.missing is not None
    rows = photo.missing.all(axis=1)
    assert rows[-20:].all()
    assert not rows[:20].any()
    later = decode_photo(whole[: len(whole) * 3 // 4])
    assert later.missing is None


def test_a_turned_jpeg_cut_short_misses_one_side() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(smooth(160, 120), "JPEG", exif=exif, quality=95)
    photo = decode_photo(whole[: len(whole) * 2 // 3])
    assert photo.shape == (120, 160)
    assert photo.missing is not None
    assert photo.missing[:, :20].all()  # what lay at the bottom is at the left
    assert not photo.missing[:, -60:].any()


def test_a_jpeg_of_which_nothing_is_left_is_refused() -> None:
    whole = encoded(noise(160, 120), "JPEG")
    with pytest.raises(InputError, match="nothing of the picture is left"):
        decode_photo(whole[: whole.find(b"\xff\xda") + 20])


def test_a_mask_may_mark_nothing_where_the_file_is_cut_short() -> None:
    whole = encoded(smooth(160, 120), "JPEG", quality=95)
    photo = decode_photo(whole[: len(whole) * 2 // 3])
    found = read_hole(np.zeros(photo.shape, bool), photo.shape, photo=photo)
    assert photo.missing is not None
    assert np.array_equal(found, photo.missing)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF"])
def test_other_files_that_are_cut_short_are_refused_with_what_to_do(
    kind: str, tmp_path: Path
) -> None:
    whole = encoded(noise(40, 40), kind)
    (tmp_path / "a").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match="save it anew"):
        read_photo(tmp_path / "a")


def test_what_is_written_of_a_jpeg_cut_short_is_whole(tmp_path: Path) -> None:
    whole = encoded(smooth(160, 120), "JPEG", quality=95)
    photo = decode_photo(whole[: len(whole) * 2 // 3])
    assert photo.missing is not None
    fill = np.full((160, 120, 3), 77, np.uint8)
    write_photo(photo, fill, photo.missing, tmp_path / "b.png")
    after = read_photo(tmp_path / "b.png")
    assert after.remarks == ()
    assert (after.pixels[photo.missing] == 77).all()


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("there", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_that_looks_the_same_is_the_same(there: Form, typed: Form, tmp_path: Path) -> None:
    name = "Großmutter Zoë Müller.png"
    Image.fromarray(smooth()).save(tmp_path / unicodedata.normalize(there, name))
    assert read_photo(tmp_path / unicodedata.normalize(typed, name)).shape == SHAPE
    with pytest.raises(InputError, match="does not exist"):
        read_photo(tmp_path / unicodedata.normalize(typed, f"x{name}"))


def test_what_is_left_out_of_a_result_is_in_its_report(tmp_path: Path, tiny: Inpainter) -> None:
    pages = [Image.fromarray(smooth(seed=seed)) for seed in range(2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(PhotoWarning):
        result = tiny(tmp_path / "a.tif", HOLE, steps=1, frame="auto")
    assert any("2 pages" in note for note in result.report()["notes"])
