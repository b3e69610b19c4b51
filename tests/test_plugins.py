"""The plug-in for ComfyUI, called as ComfyUI calls it, and the one-line function."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

import aleph
from aleph.pictures import face
from helpers import noise

PLUGIN = Path(__file__).parent.parent / "plugins" / "comfyui" / "aleph"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """Load the folder as ComfyUI loads those in `custom_nodes`: as a package of its path's name."""
    spec = importlib.util.spec_from_file_location("custom_nodes_aleph", PLUGIN / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_nodes_aleph"] = module
    spec.loader.exec_module(module)
    return module


def test_every_node_has_what_comfyui_asks_for(plugin: ModuleType) -> None:
    assert plugin.NODE_CLASS_MAPPINGS.keys() == plugin.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in plugin.NODE_CLASS_MAPPINGS.values():
        required = node.INPUT_TYPES()["required"]
        assert {"IMAGE", "MASK"} <= {
            kind[0] for kind in required.values() if isinstance(kind[0], str)
        }
        assert node.RETURN_TYPES == ("IMAGE",) and callable(getattr(node, node.FUNCTION))
        assert "faces-128" in required["model"][0]


def test_a_batch_is_filled_and_all_else_stays(plugin: ModuleType) -> None:
    node = plugin.NODE_CLASS_MAPPINGS["AlephInpaint"]()
    crop = cv2.resize(face(), (64, 64), interpolation=cv2.INTER_AREA)
    images = torch.from_numpy(np.stack([crop, crop[:, ::-1]]).astype(np.float32) / 255)
    mask = torch.zeros(1, 32, 32)  # of half the size, as some nodes make them
    mask[:, 8:16, 8:16] = 1
    (filled,) = getattr(node, node.FUNCTION)(images, mask, "faces-64", "fast", 0)
    hole = torch.zeros(64, 64, dtype=torch.bool)
    hole[15:33, 15:33] = True
    assert filled.shape == images.shape and filled.dtype == torch.float32
    assert torch.equal(filled[:, ~hole], images[:, ~hole])
    assert not torch.equal(filled[:, hole], images[:, hole])
    (same,) = getattr(node, node.FUNCTION)(images, mask * 0, "faces-64", "fast", 0)
    assert torch.equal(same, images)


def test_the_function_fills_as_an_inpainter_does(tiny_folder: Path) -> None:
    image, mask = noise(32, 32, 0), np.zeros((32, 32), bool)
    mask[10:20, 10:20] = True
    filled = aleph.inpaint(image, mask, model=tiny_folder, preset="fast", seed=3)
    inpainter = aleph.Inpainter.from_pretrained(tiny_folder)
    assert np.array_equal(filled, inpainter(image, mask, preset="fast", seed=3).image)
