"""What a client may ask for, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STEPS = 2000
"""Steps of a search; the published procedure does 1500."""

MAX_CANDIDATES = 12
MAX_STARTS = 16


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Attributes:
        upload_bytes: Body of a request, in bytes.
        pixels: Width × height of a picture.
        queue: Searches that wait or run; one more is refused.
        abandoned_after: Seconds after which a search that nobody asks about is cancelled.
        kept_for: Seconds that a result is kept after it was last asked for.
        kept_results: Results kept at most; the one not asked for the longest goes first.
        kept_bytes: Bytes of pictures in kept results at most; the newest always stays.
        preview_interval: Seconds between two previews of a search.
    """

    upload_bytes: int = 64 * 2**20
    pixels: int = 50_000_000
    queue: int = 8
    abandoned_after: float = 30.0
    kept_for: float = 900.0
    kept_results: int = 16
    kept_bytes: int = 2**30
    preview_interval: float = 0.08
