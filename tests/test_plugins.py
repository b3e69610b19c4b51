"""The plug-ins for ComfyUI and napari, called as these call them, and the one-line function."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import aleph
from aleph.napari import inpaint_layer
from aleph.pictures import face
from helpers import noise

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugins" / "comfyui" / "aleph"


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


# ---- napari


@dataclass
class Layer:
    """What the plug-in asks of napari's layers."""

    data: Any
    rgb: bool = False
    contrast_limits: tuple[float, float] = (0, 255)
    name: str = "photo"
    scale: tuple[float, float] = (0.5, 0.5)
    translate: tuple[float, float] = (3, 4)
    rotate: float = 0
    shear: float = 0


def test_napari_finds_the_plug_in_and_can_make_its_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 is not installed")
    signature = pytest.importorskip("magicgui.signature", reason="magicgui is not installed")
    manifest = npe2.PluginManifest.from_file(Path(aleph.__file__).parent / "napari.yaml")
    manifest.validate_imports()
    (widget,) = manifest.contributions.widgets
    (command,) = manifest.contributions.commands
    assert widget.command == command.id and widget.autogenerate
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["napari.manifest"] == {project["name"]: "aleph:napari.yaml"}
    assert manifest.name == project["name"]

    napari, layers, types = (ModuleType(f"napari{part}") for part in ("", ".layers", ".types"))
    vars(layers).update(Image=Layer, Labels=Layer)
    vars(types).update(LayerDataTuple=tuple)
    vars(napari).update(layers=layers, types=types)
    for module in (napari, layers, types):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    asked = signature.magic_signature(inpaint_layer)
    assert list(asked.parameters) == ["image", "missing", "model", "preset", "seed"]
    choices = asked.parameters["model"].options["choices"]
    assert "faces-128" in choices(None)


@pytest.mark.parametrize(
    ("kind", "channels", "limits"),
    [
        (np.uint8, 3, (0, 255)),
        (np.uint8, 4, (0, 255)),
        (np.float32, 3, (0, 1)),
        (np.uint8, 0, (0, 255)),
        (np.uint16, 0, (1000, 21000)),
        (np.float64, 0, (-1.0, 1.0)),
    ],
)
def test_a_layer_is_filled_in_its_own_numbers(
    kind: type[np.generic], channels: int, limits: tuple[float, float], tiny_folder: Path
) -> None:
    picture = noise(32, 32) if channels else noise(32, 32)[..., 0]
    values = limits[0] + picture / 255 * (limits[1] - limits[0])
    if channels == 4:
        values = np.dstack([values, np.full((32, 32), 200)])
    data = values.astype(kind)
    labels = np.zeros((32, 32), int)
    labels[8:20, 8:20] = 3
    layer = Layer(data, rgb=channels > 0, contrast_limits=limits)
    before = data.copy()
    filled, told, what = inpaint_layer(layer, Layer(labels), str(tiny_folder), "fast")
    assert what == "image" and told["name"] == "photo, filled" and told["scale"] == (0.5, 0.5)
    assert filled.dtype == data.dtype and np.array_equal(data, before)
    assert np.array_equal(filled[labels == 0], data[labels == 0])
    inside = filled[labels > 0]
    assert not np.array_equal(inside, data[labels > 0])
    assert inside[..., :3].min() >= limits[0] and inside[..., :3].max() <= limits[1]
    if channels == 4:
        assert (filled[..., 3] == 200).all()
    if kind is np.uint8 and channels == 3:
        same = aleph.inpaint(data, labels > 0, model=tiny_folder, preset="fast", seed=0)
        assert np.array_equal(filled, same)


def test_layers_that_cannot_be_filled_are_refused_in_a_sentence(tiny_folder: Path) -> None:
    labels = Layer(np.ones((8, 8), int))
    with pytest.raises(aleph.InputError, match=r"single pictures.*\(5, 8, 8\)"):
        inpaint_layer(Layer(np.zeros((5, 8, 8))), labels)
    with pytest.raises(aleph.InputError, match=r"labels are of \(8, 8\).*\(9, 8\)"):
        inpaint_layer(Layer(np.zeros((9, 8))), labels)
    with pytest.raises(aleph.EmptyMaskError):
        inpaint_layer(
            Layer(np.zeros((8, 8, 3)), rgb=True), Layer(np.zeros((8, 8), int)), str(tiny_folder)
        )
