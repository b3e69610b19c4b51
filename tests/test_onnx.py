"""Models as ONNX files: they fill as the preset `fast` does, without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aleph.errors import MissingDependencyError, ModelError
from aleph.inpainter import Inpainter
from aleph.models.config import ModelConfig
from aleph.onnx import MOST_DIFFERENCE, FrameFill, export_onnx, run_onnx
from conftest import RunCli, make_model
from helpers import KINDS, files_below, noise, some_hole, write_mask

ROOT = Path(__file__).parent.parent

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights, refiner included."""
    config = replace(KINDS["amortised"], refiner_width=10)
    return make_model(tmp_path_factory.mktemp("models") / "refined", config)


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as an ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    assert export_onnx(folder, path) <= MOST_DIFFERENCE
    return path


def filled_fast(folder: Path, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    inpainter = Inpainter.from_pretrained(folder, device="cpu", precision="fp32")
    return inpainter(image, hole, preset="fast", frame="whole", tones=False).image


HOLES: dict[str, Callable[[], np.ndarray]] = {
    "some": lambda: some_hole(16, 16),
    "nothing missing": lambda: np.zeros((16, 16), bool),
    "one pixel known": lambda: np.indices((16, 16)).sum(axis=0) > 0,
    "at the rim": lambda: np.indices((16, 16))[1] < 5,
}


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.filterwarnings("ignore:100% of the image is marked")
def test_the_file_fills_as_the_preset_fast_does(file: Path, folder: Path, name: str) -> None:
    image, hole = noise(16, 16), HOLES[name]()
    filled = run_onnx(file, image, hole)
    assert (filled[~hole] == image[~hole]).all()
    if hole.any():
        wanted = filled_fast(folder, image, hole)
        assert (wanted[hole] != image[hole]).any()
        assert np.abs(filled.astype(int) - wanted).max() <= MOST_DIFFERENCE


def test_what_the_picture_holds_in_the_hole_changes_nothing(file: Path) -> None:
    hole = some_hole(16, 16)
    one, other = noise(16, 16, 1), noise(16, 16, 2)
    other[~hole] = one[~hole]
    assert (run_onnx(file, one, hole) == run_onnx(file, other, hole)).all()


def test_a_model_without_a_refiner_is_blended_nearly_as_by_matern(tmp_path: Path) -> None:
    plain = make_model(tmp_path / "plain", replace(KINDS["amortised"], refiner_width=0))
    image, hole = noise(16, 16) // 4 + 96, some_hole(16, 16)
    inpainter = Inpainter.from_pretrained(plain, device="cpu", precision="fp32")
    fill = FrameFill(inpainter.model)
    with torch.inference_mode():
        filled = fill(torch.from_numpy(image), torch.from_numpy(hole)).numpy()
    wanted = filled_fast(plain, image, hole)
    assert np.abs(filled.astype(int) - wanted)[hole].mean() < 2


def test_the_lines_of_the_how_to_page_run_where_there_is_no_torch(
    file: Path, tmp_path: Path
) -> None:
    page = (ROOT / "docs/how-to/onnx.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    hole = some_hole(16, 16)
    Image.fromarray(noise(16, 16)).save(tmp_path / "face.png")
    write_mask(hole, tmp_path / "mask.png")
    (tmp_path / "faces-128.onnx").write_bytes(file.read_bytes())
    code = f"import sys\nsys.modules['torch'] = sys.modules['aleph'] = None\n{lines}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    filled = np.array(Image.open(tmp_path / "filled.png"))
    assert (filled == run_onnx(file, noise(16, 16), hole)).all()


def test_a_model_without_an_encoder_is_refused_and_nothing_is_written(
    tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="has no encoder"):
        export_onnx(tiny_folder, tmp_path / "tiny.onnx")
    assert files_below(tmp_path) == set()


def test_a_file_that_fills_otherwise_than_torch_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_text("an older one")
    monkeypatch.setattr("aleph.onnx._write", lambda fill, name, path: path.write_text("nothing"))
    monkeypatch.setattr("aleph.onnx.run_onnx", lambda path, image, hole: 255 - image)
    with pytest.raises(ModelError, match="grey levels otherwise than torch"):
        export_onnx(folder, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "an older one"
    assert files_below(tmp_path) == {"model.onnx"}


@pytest.mark.parametrize("missing", ["onnxruntime", "onnxscript"])
def test_without_the_extra_a_sentence_says_what_to_install(
    missing: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'aleph-inpainting\[onnx\]'"):
        export_onnx(folder, tmp_path / "model.onnx")


def test_the_command_says_what_it_wrote_and_what_it_cannot(
    call_cli: RunCli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aleph.onnx._write", lambda fill, name, path: path.write_bytes(b"0" * 9))
    monkeypatch.setattr("aleph.onnx.run_onnx", lambda path, image, hole: 255 - image)
    monkeypatch.setattr("aleph.onnx.MOST_DIFFERENCE", 255)
    written = call_cli("export", folder, "--onnx", "model.onnx")
    assert written.code == 0 and "wrote model.onnx" in written.out and written.err == ""
    nothing = call_cli("export", folder)
    assert nothing.code == 2 and "--out FOLDER" in nothing.err and "--onnx FILE" in nothing.err
    pushed = call_cli("export", folder, "--onnx", "model.onnx", "--push", "user/model")
    assert pushed.code == 2 and "--out FOLDER" in pushed.err
    elsewhere = call_cli("export", folder, "--onnx", "nowhere/model.onnx")
    assert elsewhere.code == 2 and "does not exist" in elsewhere.err


def test_models_that_do_not_fill_are_refused(tmp_path: Path) -> None:
    detector = make_model(tmp_path / "detector", ModelConfig.default("detector", resolution=16))
    with pytest.raises(ModelError, match="fills nothing"):
        export_onnx(detector, tmp_path / "model.onnx")
