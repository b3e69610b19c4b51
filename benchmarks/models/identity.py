"""Whether a filled face is still the same person: descriptors and landmarks of networks by others.

    python -m benchmarks identity DATA... [--models faces-64,faces-128] [--images 60]

Needs `pip install 'aleph-inpainting[identity]'`: dlib's networks (King 2009, JMLR 10) find 68
landmarks (Kazemi & Sullivan 2014, doi:10.1109/CVPR.2014.241) and describe a face by 128 numbers;
nobody here trained them. Two descriptors less than 0.6 apart count as the same person's, the
threshold of dlib's documentation; two different faces of the data are 0.81 apart.

For every mask and kind of fill it prints the mean distance of the filled face to the original, the
share of the same person, how far the landmarks are off (mean over points, in shares of the image's
side), and the Fréchet distance of the descriptors of all fills to those of all originals. The place
of the face is given: images are aligned, so no detector decides which faces count.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aleph.arrays import Doubles, Hole, Pixels
from aleph.datasets import find_sources, load_squares
from aleph.evaluation.classical import CLASSICAL, classical_fill
from aleph.evaluation.realism import frechet_distance
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole

SAME_PERSON = 0.6
"""Distance of two descriptors below which dlib says that they are of the same person."""

_SIDE = 256
"""Side in pixels at which faces are looked at: landmarks want more pixels than a model has."""

_FACE = (0.12, 0.14, 0.88, 0.90)
"""Where the face lies in an aligned image, as dlib boxes it: left, top, right, bottom."""


@dataclass(frozen=True)
class Faces:
    """What dlib says of some images.

    Attributes:
        descriptors: float64 (n, 128).
        landmarks: float64 (n, 68, 2), in shares of the image's side.
    """

    descriptors: Doubles
    landmarks: Doubles


class Looker:
    """dlib's landmark predictor and face descriptor."""

    def __init__(self) -> None:
        import dlib

        # The package's own functions need a module that setuptools has given up.
        found = importlib.util.find_spec("face_recognition_models")
        assert found is not None and found.origin is not None
        folder = Path(found.origin).parent / "models"
        self._dlib: Any = dlib
        self._points = dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))
        network = str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        self._describe = dlib.face_recognition_model_v1(network)

    def __call__(self, images: list[Pixels]) -> Faces:
        """Look at aligned faces, uint8 (H, H, 3) each."""
        box = self._dlib.rectangle(*(round(share * _SIDE) for share in _FACE))
        descriptors, landmarks = [], []
        for image in images:
            large = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
            shape = self._points(large, box)
            landmarks.append([(part.x / _SIDE, part.y / _SIDE) for part in shape.parts()])
            descriptors.append(np.array(self._describe.compute_face_descriptor(large, shape)))
        return Faces(np.array(descriptors), np.array(landmarks, float))


def compare(fills: Faces, originals: Faces) -> dict[str, float]:
    """Return the figures of a set of fills."""
    distance = np.linalg.norm(fills.descriptors - originals.descriptors, axis=1)
    off = np.linalg.norm(fills.landmarks - originals.landmarks, axis=2).mean(axis=1)
    return {
        "distance": float(distance.mean()),
        "same": float((distance < SAME_PERSON).mean()),
        "landmarks": float(off.mean()),
        "frechet": frechet_distance(originals.descriptors, fills.descriptors),
    }


Fill = Callable[[list[Pixels], list[Hole]], list[Pixels]]


def fills_of(inpainter: Inpainter, presets: list[str]) -> dict[str, Fill]:
    """Return what fills, by name: the classical methods, then the model's presets."""

    def classical(name: str) -> Fill:
        return lambda images, holes: [
            classical_fill(name, i, h) for i, h in zip(images, holes, strict=True)
        ]

    def preset(name: str) -> Fill:
        return lambda images, holes: [
            result.image
            for result in inpainter.batch(images, holes, preset=name, frame="whole", grain=False)
        ]

    names = [name for name in CLASSICAL if name != "mean"]
    return {name: classical(name) for name in names} | {name: preset(name) for name in presets}


def show(name: str, mask: str, figures: dict[str, float]) -> None:
    """Print a row of the table."""
    print(
        f"| {name} | {mask} | {figures['distance']:.3f} | {figures['same']:.0%} | "
        f"{figures['landmarks']:.1%} | {figures['frechet']:.3f} |",
        flush=True,
    )


def main() -> None:
    """Parse, fill, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--models", default="faces-64,faces-128")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--masks", default="center,half")
    parser.add_argument("--presets", default="fast,balanced")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    look = Looker()
    for model in options.models.split(","):
        inpainter = Inpainter.from_pretrained(model, precision=options.precision)
        side = inpainter.model.config.resolution
        sources = find_sources(options.data)
        chosen = [sources[i] for i in np.linspace(0, len(sources) - 1, options.images).astype(int)]
        images = [np.array(image) for image in load_squares(chosen, side)[0]]
        originals = look(images)
        print(f"\n`{model}`, {len(images)} images\n")
        print("| fill | mask | distance | same person | landmarks off by | Fréchet |")
        print("| --- | --- | --- | --- | --- | --- |")
        others = Faces(np.roll(originals.descriptors, 1, axis=0), originals.landmarks)
        show("another face", "", compare(others, originals))
        for mask in options.masks.split(","):
            holes = [named_hole(mask, (side, side), seed) for seed in range(len(images))]
            for name, fill in fills_of(inpainter, options.presets.split(",")).items():
                show(name, mask, compare(look(fill(images, holes)), originals))


if __name__ == "__main__":
    main()
