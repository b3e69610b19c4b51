"""Searching the mirror image as well, as a user sees it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aleph.arrays import Hole, Pixels
from aleph.inpainter import Inpainter
from conftest import make_model
from helpers import KINDS, noise


def of_model(tmp_path_factory: pytest.TempPathFactory, name: str, mirrored: bool) -> Inpainter:
    config = dataclasses.replace(KINDS["amortised"], mirrored=mirrored)
    folder = make_model(tmp_path_factory.mktemp("models") / name, config)
    return Inpainter.from_pretrained(folder, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    """An inpainter with random weights, of a model that was trained on mirror images too."""
    return of_model(tmp_path_factory, "both-ways", mirrored=True)


@pytest.fixture(scope="module")
def one_way(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    """The same of a model that was not."""
    return of_model(tmp_path_factory, "one-way", mirrored=False)


def left_of_the_middle() -> Hole:
    hole = np.zeros((16, 16), bool)
    hole[3:14, 1:7] = True
    return hole


def pasted(inpainter: Inpainter, image: Pixels, hole: Hole, **options: object) -> Pixels:
    """Fill with what was found as it is, not rounded by blending or adaptation."""
    given = {"frame": "whole", "blending": "paste", "adaptation_steps": 0, **options}
    return inpainter(image, hole, grain=False, **given).image  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_picture_and_its_mirror_image_are_filled_alike(both_ways: Inpainter, steps: int) -> None:
    image, hole = noise(16, 16), left_of_the_middle()
    options = {"mirror": True, "steps": steps, "learning_rate": 0.05}
    filled = pasted(both_ways, image, hole, **options)
    turned = pasted(both_ways, image[:, ::-1], hole[:, ::-1], **options)
    assert np.abs(filled.astype(int) - turned[:, ::-1]).max() <= 1
    single = pasted(both_ways, image[:, ::-1], hole[:, ::-1], **{**options, "mirror": False})
    assert (single != turned).any()


def test_the_fill_is_the_mean_of_both_views(both_ways: Inpainter) -> None:
    image, hole = noise(16, 16), left_of_the_middle()
    options = {"start": "encoder", "steps": 0}
    views = [
        pasted(both_ways, image, hole, **options),
        pasted(both_ways, image[:, ::-1], hole[:, ::-1], **options)[:, ::-1],
    ]
    filled = pasted(both_ways, image, hole, mirror=True, **options)
    mean = np.mean([view.astype(float) for view in views], axis=0)
    # Each view was clipped and rounded by itself.
    inside = ((np.array(views) > 0) & (np.array(views) < 255)).all(axis=0) & hole[:, :, None]
    assert inside.sum() > 20
    assert np.abs(filled - mean)[inside].max() <= 1.0


def test_the_mirror_image_is_no_candidate_and_is_not_shown(both_ways: Inpainter) -> None:
    shapes = []
    result = both_ways(
        noise(16, 16), "center", frame="whole", mirror=True, candidates=2, steps=2,
        on_step=lambda step: shapes.append((step.generated.shape[1], step.losses["total"].shape)),
    )  # fmt: skip
    assert shapes == [(2, (1, 2))] * 3
    assert len(result.candidates) == 2
    assert result.history["total"].shape == (3,)


def test_a_model_that_knows_no_mirror_images_is_not_shown_any(one_way: Inpainter) -> None:
    image, hole = noise(16, 16), left_of_the_middle()
    fills = [pasted(one_way, image, hole, mirror=mirror, steps=2) for mirror in (False, True)]
    assert np.array_equal(*fills)
