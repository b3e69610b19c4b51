"""A run → a model folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from aleph.models.config import ModelConfig
from aleph.models.folder import save_model
from aleph.training.loop import new_recipe
from aleph.training.recipes.whitening import whiten
from aleph.training.run import Run, open_images, read_run
from aleph.training.state import load_state


def export_run(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write the averaged networks of a run as a model folder; return the steps they were trained.

    Args:
        folder: The run's folder; the run may be going on, its last saved state is taken.
        out: The model folder to write; an older model there is replaced.

    Raises:
        TrainingError: if there is no run, or no state of it yet; or, where the latent space is to
            be whitened, if the run's packed images are damaged or gone.
        OutputError: if the model folder cannot be written.
    """
    run = read_run(Path(folder))
    recipe = new_recipe(run.model, run.train, torch.device("cpu"))
    step: int = load_state(recipe, run.state)["step"]
    networks = recipe.export()
    if run.model.kind == "amortised" and run.train.part == "all":
        whiten(networks["generator"], networks["encoder"], open_images(run))  # type: ignore[arg-type]
    save_model(out, run.model, networks, card(Path(out).name, run, step))
    return step


def card(name: str, run: Run, step: int) -> str:
    """Return the card of a freshly exported model, Markdown."""
    config = json.dumps(run.train.to_dict(), indent=2)
    sources = "\n".join(f"- `{Path(path).name}`" for path in run.data)
    seen = step * run.train.batch_size
    return f"""# {name}

{_summary(run.model)}

## Data

{sources}

Say here what the images show, where they are from and under which licence; the weights may have
to be shared under the same terms.

## Training

{step:,} steps of {run.train.batch_size} images ({seen:,} images seen), {run.train.holdout} images
held out:

```json
{config}
```

## Measured

Nothing yet: `{_measure(run.model)}` makes the table.
"""


def _summary(model: ModelConfig) -> str:
    what = f"An aleph model of kind `{model.kind}` at {model.resolution}×{model.resolution} pixels"
    work = {
        "detector": "finds the frames of\ndamaged objects in photographs.",
        "damage": "finds damage in\nphotographs of any size.",
        "surroundings": "refines the fill of\nwhat no model's frame covers.",
    }
    if model.fills:
        return f"{what}: latent codes of\n{model.latent_dim} numbers, {model.prior} prior."
    return f"{what}: {work[model.kind]}"


def _measure(model: ModelConfig) -> str:
    measures = {
        "detector": "python -m benchmarks faces-found DATA --detector FOLDER",
        "damage": "python -m benchmarks damage PHOTOGRAPHS --artefacts ZIP --model FOLDER",
        "surroundings": "python -m benchmarks outside PHOTOGRAPHS ARTEFACTS --refiner FOLDER",
    }
    return measures.get(model.kind, "aleph evaluate FOLDER DATA")
