"""The folder of a run: its configuration, its packed images, the path of its state."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aleph.datasets import (
    Source,
    Split,
    find_partition,
    find_sources,
    read_partition,
    split_sources,
)
from aleph.errors import InputError, TrainingError
from aleph.files import check_outside, make_folder, replacing
from aleph.models.config import REFINER_WIDTH, ModelConfig
from aleph.models.folder import read_config
from aleph.models.zoo import find_model
from aleph.progress import Reporter
from aleph.training.batches import pack
from aleph.training.config import TrainConfig
from aleph.training.samples.artefacts import is_held_out
from aleph.training.state import STATE

_PATHS = ("backgrounds", "artefacts", "labelled")
"""Fields of `TrainConfig` that name files."""


@dataclass(frozen=True)
class Run:
    """A run's folder and configuration.

    Attributes:
        folder: Where everything of the run lies.
        data: Paths of the training data.
        partition: CelebA's partition file, or none.
        model: What is built.
        train: How it is trained.
        init: Model that the first weights are taken from, or none.
        refiner_of: Model or folder of a run that the refiner's first weights are taken from, or
            none.
    """

    folder: Path
    data: tuple[str, ...]
    partition: str | None
    model: ModelConfig
    train: TrainConfig
    init: str | None = None
    refiner_of: str | None = None

    @property
    def state(self) -> Path:
        """Path of the state to resume from."""
        return self.folder / STATE

    @property
    def images(self) -> Path:
        """Path of the packed training images."""
        return self.folder / f"images-{self.model.image_resolution}.npy"

    def to_dict(self) -> dict[str, Any]:
        """Return everything that determines the trained weights, as plain JSON values."""
        return {
            "data": list(self.data),
            "partition": self.partition,
            "init": self.init,
            "refiner_of": self.refiner_of,
            "model": self.model.to_dict(),
            "train": self.train.to_dict(),
        }


def create_run(
    folder: Path,
    data: Sequence[str | os.PathLike[str]],
    model: ModelConfig,
    train: TrainConfig,
    partition: str | os.PathLike[str] | None = None,
    init: str | None = None,
    refiner_of: str | None = None,
) -> Run:
    """Describe a new run; nothing is written before `write_run`.

    Raises:
        TrainingError: if the folder already holds a run.
        OutputError: if it is one of the folders of the data, or lies in one.
        InputError: if no data is given or it does not exist.
        ModelError: if there is no model `init`; a detector that is not given is taken from it.
    """
    refuse_old_run(folder)
    if not data:
        raise InputError("no training data: name one or more folders or zips of images")
    check_outside(folder, data)
    found = partition or find_partition(data)
    paths = tuple(str(Path(p).absolute()) for p in data)
    if init is not None and not model.detector:
        model = replace(model, detector=read_config(find_model(init)).detector)
    if model.fills and train.part == "all":
        model = replace(model, mirrored=train.flip)
    train = replace(train, **_absolute({name: getattr(train, name) for name in _PATHS}))
    partition = str(Path(found).absolute()) if found else None
    return Run(folder, paths, partition, model, train, init, refiner_of)


def refuse_old_run(folder: Path) -> None:
    """Refuse to begin a run in a folder that holds one.

    Raises:
        TrainingError: if it does.
    """
    if (folder / "config.json").exists():
        raise TrainingError(
            f"'{folder}' already holds a run: add --resume to go on with it, or name another folder"
        )


def with_refiner(init: str | None, given: dict[str, Any]) -> ModelConfig:
    """Return the configuration of a trained model that is to get a refiner.

    Args:
        init: The model; one that has a refiner keeps its shape.
        given: Fields of `ModelConfig` that are asked for.

    Raises:
        InputError: if no model is named, or another shape is asked for than it has.
        ModelError: if there is no such model.
    """
    if init is None:
        raise InputError("a refiner is trained on top of a model: name it with --init MODEL")
    model = read_config(find_model(init))
    if not model.refiner_width:
        model = replace(model, refiner_width=given.get("refiner_width", REFINER_WIDTH))
    model = replace(model, detail=1.0)  # that of the refiner that was
    for name, value in given.items():
        if getattr(model, name) != value:
            raise InputError(
                f"'{init}' has {name} {getattr(model, name)}, and its refiner cannot change that: "
                "leave the option out"
            )
    return model


def _absolute(train: dict[str, Any]) -> dict[str, Any]:
    """Return fields of `TrainConfig` with absolute paths: a run is resumed from any folder."""
    given = {name: train.get(name) for name in _PATHS}
    return train | {name: str(Path(path).absolute()) for name, path in given.items() if path}


def extend_run(run: Run, train: dict[str, Any], model: dict[str, Any]) -> Run:
    """Return the run with more steps, or other intervals of saving; nothing else can change.

    Raises:
        TrainingError: if any other option differs from what the run was started with.
    """
    free, train = {"steps", "save_every", "sample_every", "log_every"}, _absolute(train)
    settled = {**run.train.to_dict(), **run.model.to_dict()}
    for name, value in {**train, **model}.items():
        if name not in free and settled[name] != value:
            raise TrainingError(
                f"the run in '{run.folder}' has {name} {settled[name]}; it cannot go on with "
                f"{value}: leave the option out, or start a new run"
            )
    return replace(run, train=replace(run.train, **train))


def write_run(run: Run) -> None:
    """Write the run's configuration into its folder.

    Raises:
        OutputError: if the folder cannot be written.
    """
    with replacing(run.folder / "config.json") as temporary:
        temporary.write_text(json.dumps(run.to_dict(), indent=2) + "\n")


def read_run(folder: Path) -> Run:
    """Read the configuration of the run in a folder.

    Raises:
        TrainingError: if there is none or it is damaged.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text())
        model, train = (
            ModelConfig.from_dict(values["model"]),
            TrainConfig.from_dict(values["train"]),
        )
        begun = values.get("init"), values.get("refiner_of")
        return Run(folder, tuple(values["data"]), values["partition"], model, train, *begun)
    except FileNotFoundError:
        raise TrainingError(f"'{folder}' holds no run: there is no '{path}'") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"'{path}' is not the configuration of a run: {error}") from None


def split_data(run: Run) -> Split:
    """Find the run's images and set some aside.

    Raises:
        InputError: if the data or the partition cannot be read.
        TrainingError: if fewer images are there than a batch holds, or than are to be held out.
    """
    partition = read_partition(Path(run.partition)) if run.partition else None
    sources = find_sources(run.data)
    if run.model.of_photographs:  # by name, so that measuring finds them again without the run
        held_out = [s for s in sources if is_held_out(s.basename)]
        split = Split([s for s in sources if not is_held_out(s.basename)], held_out)
    else:
        split = split_sources(sources, run.train.holdout, run.train.seed, partition)
    _require_a_batch(len(split.train), run)
    return split


def prepare_images(run: Run, split: Split, reporter: Reporter) -> None:
    """Write the list of held-out images, pack the others; once per machine.

    Raises:
        TrainingError: if fewer images can be read than a batch holds.
        OutputError: if the run's folder cannot be made or written.
    """
    make_folder(run.folder)  # on a machine of its own it may not be there
    if split.held_out:
        with replacing(run.folder / "holdout.txt") as temporary:
            temporary.write_text("".join(f"{s.name}\n" for s in split.held_out))
    skipped = _pack_with_progress(split.train, run, reporter)
    if skipped:
        with replacing(run.folder / "skipped.txt") as temporary:
            temporary.write_text("".join(f"{line}\n" for line in skipped))
        for line in skipped[:20]:
            reporter.say(f"skipped: {line}")
        if len(skipped) > 20:
            reporter.say(f"… and {len(skipped) - 20} more, listed in '{run.folder}/skipped.txt'")


def _pack_with_progress(sources: list[Source], run: Run, reporter: Reporter) -> list[str]:
    with reporter.progress("reading images", len(sources)) as advance:
        return pack(
            sources, run.model.image_resolution, run.images, lambda done, _: advance(done, {})
        )


def _require_a_batch(count: int, run: Run) -> None:
    if count < run.train.batch_size:
        raise TrainingError(
            f"too few images: {count} to train on, but a batch holds {run.train.batch_size}; "
            "give more images or a smaller --batch-size"
        )


def open_images(run: Run) -> NDArray[np.uint8]:
    """Map the packed images into memory: uint8 (N, R, R, 3), R the model's `image_resolution`.

    Raises:
        TrainingError: if the file is damaged or holds fewer images than a batch.
    """
    try:
        images: NDArray[np.uint8] = np.load(run.images, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"'{run.images}' is damaged ({error}); delete it and resume: it is made anew"
        ) from None
    _require_a_batch(len(images), run)
    return images
