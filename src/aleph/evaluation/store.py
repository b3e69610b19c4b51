"""The folder of an evaluation: its files, and the check that it holds no other evaluation."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from aleph import __version__
from aleph.errors import InputError, ModelError
from aleph.evaluation.inputs import Inputs, holes_of
from aleph.evaluation.plan import EvaluationPlan, Setting, mask_label
from aleph.files import check_outside, make_folder, replacing
from aleph.models.folder import WEIGHTS, read_config
from aleph.models.zoo import find_model

FORMAT = 1
"""Version of the files of an evaluation; a folder of another version is refused."""

PLAN, ROWS, IMAGES, FILLS = "plan.json", "results.jsonl", "images.txt", "fills"


def fill_path(folder: Path, mask: str, setting: Setting, image: int) -> Path:
    """Return where the fill of an image is kept, if it is."""
    return fill_folder(folder, mask, setting) / f"{image:05d}.png"


def fill_folder(folder: Path, mask: str, setting: Setting) -> Path:
    """Return where the fills of a mask and a setting are kept, if they are."""
    return folder / FILLS / mask_label(mask) / setting.name.replace("/", "_")


def open_folder(plan: EvaluationPlan, inputs: Inputs, out: str | os.PathLike[str]) -> Path:
    """Make the evaluation's folder, or check that it holds this very evaluation.

    Raises:
        InputError: if it holds another evaluation.
        OutputError: if it lies among the data, or cannot be made or written.
    """
    folder = Path(out)
    check_outside(folder, plan.data)
    make_folder(folder)
    identity = {
        "format": FORMAT,
        "plan": plan.to_dict(),
        "inputs": _fingerprints(plan, inputs),
    }
    if (folder / PLAN).exists():
        _check_same(folder, identity)
    elif (folder / ROWS).exists():
        raise InputError(f"'{folder}' holds results but no {PLAN}: name another folder")
    with replacing(folder / IMAGES) as temporary:
        names = "".join(f"{source.name}\n" for source in inputs.sources)
        temporary.write_text(names, encoding="utf-8")
    with replacing(folder / PLAN) as temporary:
        text = json.dumps({**identity, "version": __version__}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    return folder


def _fingerprints(plan: EvaluationPlan, inputs: Inputs) -> dict[str, Any]:
    """Return digests of images, holes and weights: their files may change under the same names."""
    holes = hashlib.sha256()
    for mask in plan.masks:
        for hole in holes_of(plan, mask, 0, len(inputs.images), inputs.resolution):
            holes.update(np.packbits(hole).tobytes())
    models = {s.model or plan.model for s in plan.settings() if s.searches}
    return {
        "images": hashlib.sha256(np.ascontiguousarray(inputs.images).tobytes()).hexdigest(),
        "masks": holes.hexdigest(),
        "models": {model: _weights_digest(model) for model in sorted(models)},
    }


def _weights_digest(model: str) -> str:
    folder = find_model(model)
    read_config(folder)
    try:
        return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    except OSError:
        raise ModelError(f"'{folder}' is no model folder: it has no readable {WEIGHTS}") from None


def _check_same(folder: Path, identity: dict[str, Any]) -> None:
    """Refuse to mix the rows of two evaluations. The data may have moved: its pixels count."""
    try:
        found = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        plan, inputs = found["plan"], found["inputs"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"'{folder / PLAN}' is damaged: name another folder") from None
    hint = "name another folder, or repeat the options it was begun with"
    if found.get("format") != FORMAT:
        raise InputError(f"'{folder}' holds an evaluation of another version of aleph: {hint}")
    # As JSON gives them back: tuples are lists there.
    wanted = json.loads(json.dumps(identity["plan"]))
    for name, value in wanted.items():
        if name != "data" and plan.get(name) != value:
            raise InputError(
                f"'{folder}' holds an evaluation with {name} {_plain(plan.get(name))}, not "
                f"{_plain(value)}: {hint}"
            )
    for name, value in identity["inputs"].items():
        if inputs.get(name) != value:
            raise InputError(f"'{folder}' holds an evaluation of other {name}: {hint}")


def _plain(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
