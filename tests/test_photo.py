from __future__ import annotations

import functools
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import get_sampling
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from aleph.errors import InputError, OutputError
from aleph.photo.encode import check_photo_path, encode_photo, write_photo
from aleph.photo.photo import Photo, read_photo, stored, turned
from helpers import files_below, noise, some_hole

SHAPE = (12, 16)
HOLE = some_hole(*SHAPE)
FILL = np.full((*SHAPE, 3), (200, 60, 30), np.uint8)


def save(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def grey() -> Image.Image:
    return Image.fromarray(noise(*SHAPE)[:, :, 0])


def colour() -> Image.Image:
    return Image.fromarray(noise(*SHAPE))


def deep(channels: int) -> NDArray[np.uint16]:
    shape = (*SHAPE, channels)
    return np.random.default_rng(5).integers(0, 65536, shape, np.uint16)


def with_alpha(picture: Image.Image) -> Image.Image:
    picture.putalpha(Image.fromarray(noise(*SHAPE, 9)[:, :, 0]))
    return picture


@functools.cache  # a profile holds the second in which it was made
def swapped_profile() -> bytes:
    """sRGB's profile with red and blue exchanged: no other shows so well whether it is heeded."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")


def palette(transparent: bool) -> Image.Image:
    picture = colour().quantize(16)
    if transparent:
        picture.info["transparency"] = 3
    return picture


def filled(path: Path, suffix: str, fill: NDArray[np.uint8] = FILL) -> Image.Image:
    """Fill a file's hole and return the file that is written, decoded."""
    picture = Image.open(io.BytesIO(encode_photo(read_photo(path), fill, HOLE, suffix)))
    picture.load()
    return picture


PICTURES = {
    "1": lambda: grey().convert("1"),
    "L": grey,
    "LA": lambda: with_alpha(grey()),
    "RGB": colour,
    "RGBA": lambda: with_alpha(colour()),
    "CMYK": lambda: colour().convert("CMYK"),
    "I;16": lambda: Image.fromarray(deep(1)[:, :, 0]),
}
LOSSLESS = {
    ".png": ("1", "L", "LA", "RGB", "RGBA", "I;16"),
    ".tif": ("1", "L", "LA", "RGB", "RGBA", "I;16", "CMYK"),
    ".webp": ("RGB", "RGBA"),
}


@pytest.mark.parametrize(
    ("suffix", "mode"), [(suffix, mode) for suffix, modes in LOSSLESS.items() for mode in modes]
)
def test_known_samples_and_the_mode_survive_every_lossless_format(
    suffix: str, mode: str, tmp_path: Path
) -> None:
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    path = save(PICTURES[mode](), tmp_path / f"a{suffix}", **options)
    with Image.open(path) as before:
        expected = np.array(before)
    after = filled(path, suffix)
    assert after.mode == mode
    result = np.array(after)
    assert np.array_equal(result[~HOLE], expected[~HOLE])
    assert not np.array_equal(result[HOLE], expected[HOLE])
    if "A" in mode:
        assert np.array_equal(result[..., -1], expected[..., -1])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_photo_keeps_its_16_bits(suffix: str, channels: int, tmp_path: Path) -> None:
    samples = deep(channels)
    order = [2, 1, 0, 3][:channels]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(cv2.imencode(suffix, samples[:, :, order])[1].tobytes())
    photo = read_photo(path)
    assert np.array_equal(photo.samples, samples)
    assert np.abs(photo.pixels - samples[:, :, :3] / 257).max() <= 0.5
    for other in (".png", ".tif"):
        write_photo(photo, FILL, HOLE, tmp_path / f"b{other}")
        after = read_photo(tmp_path / f"b{other}").samples
        assert after.dtype == np.uint16
        assert np.array_equal(after[~HOLE], samples[~HOLE])
        assert (after[HOLE, :3] == np.array([200, 60, 30], np.uint16) * 257).all()
        assert np.array_equal(after[..., 3:], samples[..., 3:])


def test_grey_with_alpha_keeps_its_16_bits(tmp_path: Path) -> None:
    samples = deep(2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", SHAPE[1], SHAPE[0], 16, 4, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c))
            for n, c in chunks.items()
        )
    )
    photo = read_photo(tmp_path / "a.png")
    assert np.array_equal(photo.samples, samples)
    write_photo(photo, FILL, HOLE, tmp_path / "b.png")
    assert np.array_equal(read_photo(tmp_path / "b.png").samples[~HOLE], samples[~HOLE])
    write_photo(photo, FILL, HOLE, tmp_path / "b.tif")
    as_colours = read_photo(tmp_path / "b.tif").samples
    assert np.array_equal(as_colours[~HOLE], samples[:, :, [0, 0, 0, 1]][~HOLE])


@pytest.mark.parametrize(
    ("suffix", "transparent"),
    [(".png", False), (".png", True), (".gif", False), (".gif", True), (".tif", False)],
)
def test_a_palette_photo_keeps_its_colours_and_gains_those_of_the_fill(
    suffix: str, transparent: bool, tmp_path: Path
) -> None:
    path = save(palette(transparent), tmp_path / f"a{suffix}")
    mode = "RGBA" if transparent else "RGB"
    with Image.open(path) as picture:
        expected = np.array(picture.convert(mode))
    after = filled(path, ".png")
    assert after.mode == mode
    assert np.array_equal(np.array(after)[~HOLE], expected[~HOLE])
    assert (np.array(after)[HOLE, :3] == FILL[HOLE]).all()


def test_a_palette_of_greys_stays_grey(tmp_path: Path) -> None:
    path = save(grey().convert("P"), tmp_path / "a.png")
    assert filled(path, ".png").mode == "L"


def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path: Path) -> None:
    pixels = noise(*SHAPE)
    path = save(
        Image.fromarray(pixels), tmp_path / "a.png", transparency=tuple(pixels[2, 3].tolist())
    )
    alpha = read_photo(path).alpha
    assert alpha is not None
    assert np.argwhere(alpha == 0).tolist() == [[2, 3]]


def test_a_black_and_white_photo_is_filled_with_dots_of_black_and_white(tmp_path: Path) -> None:
    path = save(Image.new("1", SHAPE[::-1], 1), tmp_path / "a.png")
    after = filled(path, ".png", np.full((*SHAPE, 3), 128, np.uint8))
    share = np.array(after)[HOLE].mean()
    assert 0.2 < share < 0.8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".avif"])
def test_a_turned_photo_is_filled_upright_and_stored_as_it_lay(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = np.zeros((32, 48, 3), np.uint8)
    lying[:16, :16], lying[:16, 32:] = 250, 120
    path = save(Image.fromarray(lying), tmp_path / f"a{suffix}", exif=exif)
    with Image.open(path) as picture:
        expected = np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, expected)
    hole = np.zeros(photo.shape, bool)
    hole[16:32, 16:32] = True
    fill = photo.pixels.copy()
    fill[hole] = 60
    with Image.open(io.BytesIO(encode_photo(photo, fill, hole, suffix))) as after:
        assert after.getexif().get(0x0112, 1) == orientation
        upright = np.array(ImageOps.exif_transpose(after).convert("RGB")).astype(int)
    assert np.abs(upright - fill).mean() < 2


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_turning_back_is_the_inverse_of_turning(orientation: int, height: int, width: int) -> None:
    samples = noise(height, width)
    assert np.array_equal(stored(turned(samples, orientation), orientation), samples)


def test_a_format_without_orientation_gets_an_upright_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(noise(16, 12)), tmp_path / "a.png", exif=exif)
    photo = read_photo(path)
    after = Image.open(io.BytesIO(encode_photo(photo, FILL, HOLE, ".bmp")))
    assert np.array_equal(np.array(after)[~HOLE], photo.pixels[~HOLE])


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>caption</a></x:xmpmeta>'


def described(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "a camera", "somebody"
    exif.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    options: dict[str, object] = {"exif": exif, "icc_profile": swapped_profile(), "dpi": (300, 300)}
    if path.suffix == ".tif":
        tags = ImageFileDirectory_v2(prefix=b"II")
        tags[0x010F], tags[0x013B], tags[700] = "a camera", "somebody", XMP
        tags[0x8769] = {0x9003: "2001:02:03 04:05:06"}
        options["tiffinfo"] = tags
    else:
        options["xmp"] = XMP
    if path.suffix == ".png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Title", "a portrait")
        options["pnginfo"] = text
    return save(colour(), path, **options)


FORMATS = [".png", ".tif", ".jpg", ".webp", ".avif"]


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_metadata_and_profile_go_from_every_format_to_every_other(
    source: str, target: str, tmp_path: Path
) -> None:
    path = described(tmp_path / f"a{source}")
    after = filled(path, target)
    exif = after.getexif()
    assert (exif[0x010F], exif[0x013B]) == ("a camera", "somebody")
    assert exif.get_ifd(0x8769)[0x9003] == "2001:02:03 04:05:06"
    assert after.info["icc_profile"] == swapped_profile()
    xmp = after.info["xmp"]
    assert (xmp if isinstance(xmp, bytes) else xmp.encode()) == XMP
    with Image.open(path) as before:
        if "dpi" in before.info and target not in (".webp", ".avif"):
            assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    if source == target == ".png":
        assert after.info["Title"] == "a portrait"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_keep_their_metadata(suffix: str, tmp_path: Path) -> None:
    metadata = read_photo(described(tmp_path / "a.tif")).metadata
    photo = Photo(deep(3), "RGB", metadata)
    write_photo(photo, FILL, HOLE, tmp_path / f"b{suffix}")
    after = read_photo(tmp_path / f"b{suffix}")
    assert np.array_equal(after.samples[~HOLE], photo.samples[~HOLE])
    assert (after.metadata.profile, after.metadata.xmp) == (swapped_profile(), XMP)
    assert after.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    with Image.open(tmp_path / f"b{suffix}") as picture:
        assert picture.getexif().get_ifd(0x8769)[0x9003] == "2001:02:03 04:05:06"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_damaged_metadata_do_no_harm(suffix: str, tmp_path: Path) -> None:
    path = save(colour(), tmp_path / f"a{suffix}", exif=b"Exif\0\0nonsense", icc_profile=b"none")
    for target in FORMATS:
        assert filled(path, target).size == SHAPE[::-1]


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [40, 90])
def test_a_jpeg_keeps_its_own_quantisation(subsampling: int, quality: int, tmp_path: Path) -> None:
    options = {"quality": quality, "subsampling": subsampling, "progressive": True}
    path = save(colour(), tmp_path / "a.jpg", comment=b"by hand", **options)
    after = filled(path, ".jpg")
    with Image.open(path) as before:
        assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert get_sampling(after) == subsampling
    assert after.info["progressive"]
    assert after.info["comment"] == b"by hand"


def test_a_jpeg_written_again_hardly_changes(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(noise(64, 64), (0, 0), 6)
    path = save(Image.fromarray(smooth), tmp_path / "a.jpg", quality=60)
    photo = read_photo(path)
    hole = np.zeros((64, 64), bool)
    hole[20:30, 20:30] = True
    with Image.open(io.BytesIO(encode_photo(photo, photo.pixels, hole, ".jpg"))) as after:
        change = np.abs(np.array(after).astype(int) - photo.pixels)
    assert change.max() <= 2


def test_a_cmyk_jpeg_stays_cmyk(tmp_path: Path) -> None:
    flat = Image.new("CMYK", (32, 32), (10, 200, 90, 30))
    path = save(flat, tmp_path / "a.jpg", quality=100)
    photo = read_photo(path)
    assert photo.space == "CMYK"
    hole = some_hole(32, 32)
    with Image.open(io.BytesIO(encode_photo(photo, photo.pixels, hole, ".jpg"))) as after:
        assert after.mode == "CMYK"
        known = np.array(after)[20:, 20:].astype(int)
    assert np.abs(known - (10, 200, 90, 30)).max() <= 3


def test_a_profile_is_heeded_on_the_way_in_and_on_the_way_back(tmp_path: Path) -> None:
    path = save(
        Image.new("RGB", SHAPE[::-1], (250, 20, 10)), tmp_path / "a.png",
        icc_profile=swapped_profile(),
    )  # fmt: skip
    photo = read_photo(path)
    assert np.abs(photo.pixels[0, 0].astype(int) - (10, 20, 250)).max() <= 2  # it was blue
    after = filled(path, ".png", FILL)
    assert np.abs(np.array(after)[HOLE].astype(int) - (30, 60, 200)).max() <= 2
    assert (np.array(after)[~HOLE] == (250, 20, 10)).all()
    assert (
        np.abs(read_photo(write(after, tmp_path)).pixels[HOLE] - FILL[HOLE].astype(int)).max() <= 2
    )


def write(picture: Image.Image, folder: Path) -> Path:
    return save(picture, folder / "again.png", icc_profile=picture.info.get("icc_profile"))


def test_where_a_format_holds_no_profile_the_colours_are_those_of_srgb(tmp_path: Path) -> None:
    path = save(
        Image.new("RGB", SHAPE[::-1], (250, 20, 10)), tmp_path / "a.png",
        icc_profile=swapped_profile(),
    )  # fmt: skip
    photo = read_photo(path)
    image = np.where(HOLE[:, :, None], FILL, photo.pixels)
    after = Image.open(io.BytesIO(encode_photo(photo, image, HOLE, ".bmp")))
    assert np.array_equal(np.array(after), image)


def test_a_profile_that_does_not_fit_is_kept_but_not_believed(tmp_path: Path) -> None:
    path = save(grey(), tmp_path / "a.png", icc_profile=swapped_profile())
    assert np.array_equal(read_photo(path).pixels[:, :, 0], np.array(grey()))
    assert filled(path, ".png").info["icc_profile"] == swapped_profile()


def test_what_srgb_says_of_itself_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(colour(), tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read_photo(path).pixels, noise(*SHAPE))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".bmp"])
def test_16_bits_become_8_where_a_format_holds_no_more(suffix: str) -> None:
    photo = Photo(np.full((*SHAPE, 3), 40_000, np.uint16), "RGB", read_photo(FILL).metadata)
    after = Image.open(io.BytesIO(encode_photo(photo, photo.pixels, HOLE, suffix)))
    assert np.abs(np.array(after.convert("RGB")).astype(int) - round(40_000 / 257)).max() <= 2


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif"])
def test_transparency_is_refused_where_it_would_be_lost(suffix: str, tmp_path: Path) -> None:
    photo = read_photo(with_alpha(colour()))
    with pytest.raises(OutputError, match="holds no transparency"):
        check_photo_path(photo, tmp_path / f"a{suffix}")
    with pytest.raises(OutputError, match="holds no transparency"):
        write_photo(photo, FILL, HOLE, tmp_path / f"a{suffix}")
    assert not files_below(tmp_path)
    write_photo(photo.opaque(np.ones(SHAPE, bool)), FILL, HOLE, tmp_path / f"a{suffix}")


def test_arrays_and_pictures_in_memory_are_photos_too() -> None:
    pixels = noise(*SHAPE)
    for source in (pixels, Image.fromarray(pixels)):
        photo = read_photo(source)
        assert np.array_equal(photo.pixels, pixels)
        assert read_photo(photo) is photo
    assert read_photo(pixels[:, :, 0]).space == "L"
    assert read_photo(with_alpha(colour())).alpha is not None


def test_what_is_read_is_a_copy() -> None:
    pixels = noise(*SHAPE)
    before = pixels.copy()
    read_photo(pixels).samples[:] = 0
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_other_kinds_of_pixels_are_refused_in_one_sentence(mode: str, tmp_path: Path) -> None:
    path = save(Image.new(mode, (8, 8)), tmp_path / "a.tif")
    with pytest.raises(InputError, match=f"mode {mode}") as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)


def test_a_16_bit_file_cut_short_is_refused(tmp_path: Path) -> None:
    data = cv2.imencode(".png", deep(3))[1].tobytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.png"):
        read_photo(tmp_path / "a.png")


def test_an_ending_may_lack_case_but_not_a_format() -> None:
    photo = read_photo(FILL)
    assert encode_photo(photo, FILL, HOLE, ".PNG").startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="no picture format"):
        encode_photo(photo, FILL, HOLE, ".xyz")
