from __future__ import annotations

import io
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from aleph.errors import InputError, OutputError
from aleph.files import replacing
from aleph.photo.pixels import centre_square, open_picture, read_image, write_image
from aleph.photo.tensors import to_pixels, to_tensor
from helpers import files_below, noise


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.just(3))))
def test_pixels_survive_the_way_to_tensors_and_back(pixels: np.ndarray) -> None:
    assert np.array_equal(to_pixels(to_tensor(pixels)), pixels)


def test_all_256_values_survive_the_way_to_tensors_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    tensor = to_tensor(pixels)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (tensor.min().item(), tensor.max().item()) == (-1.0, 1.0)
    assert np.array_equal(to_pixels(tensor), pixels)


def test_tensors_beyond_the_range_are_clipped_and_the_axes_keep_their_meaning() -> None:
    tensor = torch.tensor([-5.0, -1.0, 1.0, 5.0]).reshape(1, 1, 1, 4).repeat(1, 3, 2, 1)
    tensor[0, 1] = 0.0
    pixels = to_pixels(tensor)
    assert pixels.shape == (1, 2, 4, 3)
    assert pixels[0, 1, :, 0].tolist() == [0, 0, 255, 255]
    assert set(pixels[0, :, :, 1].ravel().tolist()) == {128}


def test_to_tensor_shares_no_memory_with_its_input() -> None:
    pixels = noise(4, 4)[None]
    before = pixels.copy()
    to_tensor(pixels).zero_()
    assert np.array_equal(pixels, before)


def test_a_picture_is_read_alike_from_array_pil_and_path(tmp_path: Path) -> None:
    pixels = noise(7, 11)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for given_as in (
        pixels,
        Image.fromarray(pixels),
        Image.fromarray(pixels).convert("RGBA"),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
    ):
        assert np.array_equal(read_image(given_as), pixels)


def test_a_grey_picture_becomes_three_equal_channels() -> None:
    grey = noise(5, 6)[:, :, 0]
    expected = np.stack([grey] * 3, 2)
    assert np.array_equal(read_image(grey), expected)
    assert np.array_equal(read_image(Image.fromarray(grey)), expected)


def test_what_is_read_is_a_copy() -> None:
    pixels = noise(5, 6)
    before = pixels.copy()
    read_image(pixels)[:] = 0
    picture = Image.fromarray(before)
    read_image(picture)[:] = 0
    assert np.array_equal(pixels, before)
    assert np.array_equal(np.asarray(picture), before)


# What a camera stores under each orientation, and how it is turned upright.
TURNS = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    6: lambda upright: np.rot90(upright, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_a_photo_is_turned_upright_by_its_exif_orientation(
    orientation: int, tmp_path: Path
) -> None:
    upright = noise(5, 8)
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "photo.png"), upright)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((4, 4, 3), np.float32), "uint8"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.zeros((4, 4, 3), np.int64), "uint8"),
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((3, 4, 4), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (None, "uint8"),
        ("no-such.png", "does not exist"),
        (Path(), "is a folder"),
        ("a\0b.png", "null"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(image: object, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_image(image)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("this is text")
    (tmp_path / "b.png").write_bytes(b"")
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError, match=f"'.*{name}' is not a picture"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_a_truncated_picture_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(noise(40, 40)), kind)
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="cut"):
        read_image(path)


def test_a_truncated_picture_that_pil_has_only_begun_to_read_is_refused(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(noise(40, 40)), "PNG")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "cut.png") as picture, pytest.raises(InputError):
        read_image(picture)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "DDS", "ICO"])
# Pillow itself warns of the tags that it cannot make sense of.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_with_wrong_bytes_is_read_or_refused_but_never_crashes(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "somebody's camera"
    options = {"exif": exif} if kind in ("JPEG", "TIFF", "PNG") else {}
    whole = encoded(Image.fromarray(noise(24, 24)), kind, **options)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        wrong = np.frombuffer(whole, np.uint8).copy()
        count = rng.integers(1, 9)
        reach = min(len(wrong), int(rng.choice([64, 200, 10_000])))
        wrong[rng.integers(0, reach, count)] = rng.integers(0, 256, count)
        try:
            open_picture(io.BytesIO(wrong.tobytes()))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 0


def test_a_16_bit_picture_is_refused_or_scaled_but_not_turned_white(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    try:
        pixels = read_image(tmp_path / "deep.png")
    except InputError:
        return
    expected = (deep / 257.0)[:, :, None].repeat(3, 2)
    assert np.abs(pixels.astype(float) - expected).max() <= 1


def test_a_floating_picture_with_nan_is_refused() -> None:
    with pytest.raises(InputError):
        read_image(Image.fromarray(np.full((4, 4), np.nan, np.float32)))


def test_a_picture_of_absurd_size_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    header = b"P6 60000 60000 255\n"
    (tmp_path / "huge.ppm").write_bytes(header + b"\0" * 100)
    with pytest.raises(InputError, match="60000×60000 pixels, which its 119 bytes cannot hold"):
        read_image(tmp_path / "huge.ppm")


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
def test_the_centre_square_is_the_middle_of_the_longer_side(shape: tuple[int, int]) -> None:
    pixels = noise(*shape)
    middle = pixels[:, 2:10] if shape == (8, 12) else pixels[2:10]
    assert np.array_equal(centre_square(Image.fromarray(pixels), 8), middle)


def test_the_centre_square_is_scaled_without_aliasing() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = centre_square(Image.fromarray(stripes), 8)
    assert small.shape == (8, 8, 3)
    assert np.abs(small[:, 1:-1].astype(int) - 127).max() < 12  # stripes too fine become grey


def test_a_lossless_picture_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pixels = noise(9, 13)
    for name in ("a.png", "a.bmp", "a.tif", "A.PNG"):
        write_image(pixels, tmp_path / name)
        assert np.array_equal(read_image(tmp_path / name), pixels)


def test_a_lossy_picture_comes_back_nearly_as_it_was_written(tmp_path: Path) -> None:
    row = np.linspace(0, 255, 32).astype(np.uint8)
    pixels = np.broadcast_to(row[:, None, None], (32, 32, 3))
    for name in ("a.jpg", "a.webp"):
        write_image(pixels, tmp_path / name)
        assert np.abs(read_image(tmp_path / name).astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("name", ["a.xyz", "a", ".png", "a.xbm", "a.hdf", "a.blp"])
def test_a_format_that_cannot_hold_a_colour_picture_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_image(noise(8, 8), tmp_path / name)
    assert not files_below(tmp_path)


@pytest.mark.parametrize("name", ["missing/a.png", "file.txt/a.png", "folder.png", "n" * 300])
def test_a_place_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    name = name if name.endswith(".png") else f"{name}.png"
    with pytest.raises(OutputError) as caught:
        write_image(noise(8, 8), tmp_path / name)
    assert "\n" not in str(caught.value)
    assert files_below(tmp_path) == {"file.txt"}


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert target.read_text() == "old"
    assert files_below(tmp_path) == {"a.png"}


def test_a_full_disk_is_an_output_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # stands for a disk that is full
    try:
        with pytest.raises(OutputError):
            write_image(noise(64, 64), target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "old"
    assert files_below(tmp_path) == {"a.png"}


def test_a_file_appears_whole_and_with_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert temporary.suffix == ".txt"
    assert (tmp_path / "a.txt").read_text() == "new"
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "other")}
    assert len(modes) == 1
    assert files_below(tmp_path) == {"a.txt", "other"}
