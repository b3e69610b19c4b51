"""Animation: the frames of a search → GIF, WebP or MP4 ('inpainting in action')."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from aleph.arrays import Pixels
from aleph.errors import OutputError
from aleph.files import check_writable, replacing

Timed = Sequence[tuple[Pixels, int]]
"""Pictures (H, W, 3), all of one size, each with the milliseconds it stays."""


def search_timing(damaged: Pixels, frames: Sequence[Pixels], final: Pixels) -> Timed:
    """Return the animation of a search: the damaged picture, the fill at each step, the result."""
    return [(damaged, 900), *[(frame, 70) for frame in frames], (final, 1800)]


def write_animation(timed: Timed, path: str | os.PathLike[str], min_side: int = 256) -> None:
    """Write an animation in the format that the ending names; whole or not at all.

    Args:
        timed: The pictures and their times.
        path: Ends in .gif, .webp or .mp4.
        min_side: Smaller pictures are enlarged by a whole factor until their longer side reaches
            this.

    Raises:
        OutputError: if the ending is another or the place cannot be written.
    """
    check_animation_path(path)
    factor = max(1, -(-min_side // max(timed[0][0].shape[:2])))
    large = [(p.repeat(factor, 0).repeat(factor, 1), ms) for p, ms in timed]
    with replacing(path) as temporary:
        _WRITERS[Path(path).suffix.lower()](large, temporary)


def check_animation_path(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no animation can be written to.

    Raises:
        OutputError: if the ending names no known format or the folder cannot be written.
    """
    if Path(path).suffix.lower() not in _WRITERS:
        raise OutputError(f"cannot write '{path}': an animation ends in {', '.join(_WRITERS)}")
    check_writable(path)


def _write_gif(timed: Timed, path: Path) -> None:
    pictures = [
        Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE) for pixels, _ in timed
    ]
    times = [ms for _, ms in timed]
    pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0)


def _write_webp(timed: Timed, path: Path) -> None:
    pictures = [Image.fromarray(pixels) for pixels, _ in timed]
    pictures[0].save(
        path,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=[ms for _, ms in timed],
        loop=0,
        quality=90,
    )


def _write_mp4(timed: Timed, path: Path) -> None:
    """Encode H.264 in yuv420p, which every browser plays; odd sides are cut by one pixel."""
    import av

    height, width = (side - side % 2 for side in timed[0][0].shape[:2])
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16"}
        stream.codec_context.time_base = Fraction(1, 1000)
        # A picture is repeated for as long as it stays: players disagree on variable frame rates.
        moments = [pixels for pixels, ms in timed for _ in range(max(1, round(ms / 40)))]
        for number, pixels in enumerate(moments):
            picture = np.ascontiguousarray(pixels[:height, :width])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number * 40, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


_WRITERS: dict[str, Callable[[Timed, Path], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".mp4": _write_mp4,
}
