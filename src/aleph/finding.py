"""Finding: the one place where a model's detector is plugged into the pipeline."""

from __future__ import annotations

from aleph.choosing import Finder
from aleph.detection import find_frames
from aleph.zoo import load_detector


def load_finder(name: str, device: str = "cpu") -> Finder | None:
    """Load the detector that a model's configuration names.

    Args:
        name: Its name; empty for none.
        device: Where it shall run.

    Returns:
        What finds the model's frames in a photo; None if the model names none.

    Raises:
        ModelError: if there is no such detector.
    """
    if not name:
        return None
    detector = load_detector(name, device)
    return lambda pixels, hole: find_frames(detector, pixels, hole)
