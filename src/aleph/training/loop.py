"""The one training loop, for every kind of model and any number of devices (Lightning Fabric)."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aleph.datasets import Split
from aleph.errors import InputError, MissingDependencyError, TrainingError
from aleph.files import make_folder, replacing, working_alone
from aleph.models.config import ModelConfig
from aleph.models.device import choose_device, choose_precision
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.progress import Reporter
from aleph.training.batches import Batches
from aleph.training.config import TrainConfig
from aleph.training.recipes.amortised import AmortisedRecipe
from aleph.training.recipes.damage import DamageRecipe
from aleph.training.recipes.dcgan import DCGANRecipe
from aleph.training.recipes.detector import DetectorRecipe
from aleph.training.recipes.ema import decay_at, update_ema
from aleph.training.recipes.recipe import Recipe
from aleph.training.recipes.refiner import RefinerRecipe
from aleph.training.recipes.surroundings import SurroundingsRecipe
from aleph.training.recipes.warm_start import start_from
from aleph.training.run import (
    Run,
    open_images,
    prepare_images,
    refuse_old_run,
    split_data,
    write_run,
)
from aleph.training.state import load_state, save_state
from aleph.training.step import Step

try:
    from lightning_fabric import Fabric

    from aleph.training.log import LossLog
except ImportError:
    Fabric = None  # type: ignore[assignment, misc]


RECIPES: dict[str, type[Recipe]] = {
    "dcgan": DCGANRecipe,
    "amortised": AmortisedRecipe,
    "detector": DetectorRecipe,
    "damage": DamageRecipe,
    "surroundings": SurroundingsRecipe,
}


@dataclass(frozen=True)
class Devices:
    """Where a run computes; any of Fabric's own values.

    Attributes:
        accelerator: `auto`, `cpu`, `cuda`, `mps`.
        devices: Devices per machine: a number, or `auto` for all GPUs or one processor.
        nodes: Machines.
    """

    accelerator: str = "auto"
    devices: str = "auto"
    nodes: int = 1


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        step: Steps done in all.
        finished: False if a signal stopped it before the last step.
        images_per_second: Mean over this call.
        first_process: Whether this is the process of rank 0, which reports on the run.
    """

    step: int
    finished: bool
    images_per_second: float
    first_process: bool


class _StopRequest:
    """SIGINT and SIGTERM stop the run after the current step; a second SIGINT stops it at once."""

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals inside the context; restore the old handlers after it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        old = [signal.signal(number, self._ask) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, old, strict=True):
                signal.signal(number, handler)

    def agreed(self, fabric: Fabric) -> bool:
        """Return whether any process was asked to stop; the same value in every process."""
        if fabric.world_size == 1:
            return self.asked
        asked = torch.tensor(float(self.asked), device=fabric.device)
        total = fabric.all_reduce(asked, reduce_op="sum")
        assert isinstance(total, Tensor)
        return bool(total > 0)


def train(run: Run, *, resume: bool, devices: Devices, reporter: Reporter | None = None) -> Outcome:
    """Train a model from where its run stands to its last step.

    Args:
        run: What to train and where.
        resume: Continue from the run's saved state, if there is one.
        devices: Where to compute.
        reporter: Shows progress on the first process.

    Raises:
        MissingDependencyError: if Lightning Fabric or TensorBoard is not installed.
        TrainingError: on too few images, a damaged state, or losses that are no numbers.
        OutputError: if the run's folder cannot be written, or another process is training there.
    """
    _require_packages()
    run = _with_precision(run, devices)
    # Before further processes are launched, so that bad data is reported once.
    split = None if resume and run.images.exists() else split_data(run)
    fabric = start_fabric(run.train, devices)
    reporter = (reporter or Reporter()) if fabric.global_rank == 0 else Reporter(enabled=False)
    with ExitStack() as stack:
        if fabric.global_rank == 0:
            stack.enter_context(_alone(run, resume))
        return _train(run, split, fabric, reporter, resume)


def _with_precision(run: Run, devices: Devices) -> Run:
    """Settle a new run's arithmetic, so that it goes on in the same wherever it is resumed."""
    if run.train.precision != "auto":
        return run
    device = choose_device("cpu" if devices.accelerator == "cpu" else "auto")
    return replace(run, train=replace(run.train, precision=choose_precision(device)))


@contextmanager
def _alone(run: Run, resume: bool) -> Iterator[None]:
    """Keep the run's folder for this process; it is made if it is not there."""
    make_folder(run.folder)
    with working_alone(run.folder):
        if not resume:
            refuse_old_run(run.folder)  # another process may have made and left it meanwhile
        yield


def _train(
    run: Run, split: Split | None, fabric: Fabric, reporter: Reporter, resume: bool
) -> Outcome:
    """Train in the folder that is kept for this process."""
    if split and fabric.local_rank == 0:  # machines may or may not share a disk
        prepare_images(run, split, reporter)
    fabric.barrier()
    batches = Batches(open_images(run), run.train.batch_size, run.train.seed)
    if fabric.global_rank == 0:
        write_run(run)  # from here on the run can be resumed
    recipe = new_recipe(run.model, run.train, fabric.device)
    done = 0
    if resume and run.state.exists():
        done = load_state(recipe, run.state)["step"]
    elif run.init:
        whitened = batches.images if run.train.part == "all" else None
        start_from(recipe, run.model, run.init, whitened, run.refiner_of)
    return _Loop(fabric, run, recipe, batches, reporter).go_on(done)


def _require_packages() -> None:
    if Fabric is None:
        raise MissingDependencyError(
            "training needs Lightning Fabric and TensorBoard: pip install 'aleph-inpainting[train]'"
        )


def start_fabric(config: TrainConfig, devices: Devices) -> Fabric:
    """Launch the processes of a run.

    Raises:
        InputError: if the devices do not exist or do not divide the batch.
    """
    devices = _from_torchrun(devices)
    try:
        fabric = Fabric(
            accelerator=devices.accelerator,
            devices=devices.devices if devices.devices == "auto" else int(devices.devices),
            num_nodes=devices.nodes,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        )
        fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"these devices cannot be used: {error}") from None
    if config.batch_size % fabric.world_size:
        raise InputError(
            f"a batch of {config.batch_size} cannot be shared by {fabric.world_size} processes; "
            f"choose a --batch-size that {fabric.world_size} divides"
        )
    return fabric


def _from_torchrun(devices: Devices) -> Devices:
    """Return the devices that `torchrun` set up if it started this process, else those given."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return devices
    count, nodes = os.environ["LOCAL_WORLD_SIZE"], int(os.environ["GROUP_WORLD_SIZE"])
    return replace(devices, devices=count, nodes=nodes)


def new_recipe(model: ModelConfig, config: TrainConfig, device: torch.device) -> Recipe:
    """Build the networks and optimizers of a kind of model, the same on every process."""
    state = torch.get_rng_state()
    torch.manual_seed(config.seed)
    kind = RefinerRecipe if config.part == "refiner" else RECIPES[model.kind]
    recipe = kind(model, config, device)
    torch.set_rng_state(state)
    return recipe


class _Loop:
    """Runs the steps of one call of `train`; saves, samples and logs between them."""

    def __init__(
        self, fabric: Fabric, run: Run, recipe: Recipe, batches: Batches, reporter: Reporter
    ) -> None:
        self.fabric = fabric
        self.run = run
        self.config = run.train
        self.recipe = recipe
        self.batches = batches
        self.reporter = reporter

    @property
    def first(self) -> bool:
        return self.fabric.global_rank == 0

    def go_on(self, done: int) -> Outcome:
        """Train from step `done` on."""
        stop = _StopRequest()
        began, first = time.monotonic(), done
        meter = _Meter(self.config.batch_size)
        with ExitStack() as stack:
            stack.enter_context(stop.listening())
            show = stack.enter_context(self.reporter.progress("training", self.config.steps, done))
            log = stack.enter_context(LossLog(self.run.folder, done)) if self.first else None
            stopped = False
            while done < self.config.steps and not stopped:
                meter.add(self.advance(done))
                done += 1
                stopped = stop.agreed(self.fabric)
                if stopped or self._due(done, self.config.log_every):
                    losses, rate = meter.read(done)
                    show(done, {"images/s": rate, **losses})
                    if log and self._due(done, self.config.log_every):
                        log.write(done, losses, rate)
                if done % self.config.sample_every == 0:
                    self.write_samples(done)
                if stopped or self._due(done, self.config.save_every):
                    meter.require_finite(done)
                    self.save(done)
        self.write_samples(done)
        self.fabric.barrier()
        elapsed = max(time.monotonic() - began, 1e-9)
        rate = (done - first) * self.config.batch_size / elapsed
        return Outcome(done, done >= self.config.steps, rate, self.first)

    def _due(self, done: int, every: int) -> bool:
        """Return whether a task of every `every` steps, and of the last step, is due."""
        return done % every == 0 or done == self.config.steps

    def advance(self, done: int) -> dict[str, Tensor]:
        """Train one step, then update the moving averages of the weights."""
        step = Step.at(done, self.config.seed, self.fabric)
        pixels = self.batches(done, self.fabric.global_rank, self.fabric.world_size)
        real = to_tensor(pixels).to(self.fabric.device)
        if self.config.flip:
            mirrored = torch.rand(len(real), generator=step.random, device=real.device) < 0.5
            real = torch.where(mirrored[:, None, None, None], real.flip(3), real)
        losses = self.recipe.step(real, step)
        size = self.config.batch_size
        half_life = self.config.average_half_life
        # The initial weights of a warm start are good, so the average needs no ramp-up.
        decay = decay_at(math.inf if self.run.init else done * size, size, half_life)
        for role, average in self.recipe.ema.items():
            update_ema(average, self.recipe.networks[role], decay)
        return losses

    def save(self, done: int) -> None:
        """Write the state, on the first process."""
        if self.first:
            save_state(self.recipe, self.run.state, {"step": done, **self.run.to_dict()})

    def write_samples(self, done: int) -> None:
        """Write a square grid of the model's images, on the first process."""
        if not self.first:
            return
        images = self.batches.images
        spread = images[:: max(1, len(images) // 64)][:64]  # neighbours in a folder are alike
        real = to_tensor(spread).to(self.fabric.device)
        pixels = to_pixels(self.recipe.preview(real))
        side = math.ceil(math.sqrt(len(pixels)))
        blank = np.zeros((side * side - len(pixels), *pixels.shape[1:]), np.uint8)
        rows = np.concatenate([pixels, blank]).reshape(side, side, *pixels.shape[1:])
        grid = rows.transpose(0, 2, 1, 3, 4).reshape(side * pixels.shape[1], -1, 3)
        folder = self.run.folder / "samples"
        make_folder(folder)
        with replacing(Path(folder) / f"{done:07d}.png") as temporary:
            Image.fromarray(grid).save(temporary)


class _Meter:
    """The mean losses and the images per second since it was last read."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.losses: list[dict[str, Tensor]] = []
        self.last: dict[str, Tensor] = {}
        self.since = time.monotonic()

    def add(self, losses: dict[str, Tensor]) -> None:
        self.losses.append(losses)
        self.last = losses

    def require_finite(self, step: int) -> None:
        """Raise if a loss of the last step has diverged, so that its state is not saved.

        Raises:
            TrainingError: naming the loss.
        """
        _refuse_divergence({name: value.item() for name, value in self.last.items()}, step)

    def read(self, step: int) -> tuple[dict[str, float], float]:
        """Return the mean losses and the images per second, and reset both.

        Raises:
            TrainingError: if a loss is not a number.
        """
        names = self.losses[0]
        means = {n: torch.stack([row[n] for row in self.losses]).mean().item() for n in names}
        elapsed = max(time.monotonic() - self.since, 1e-9)
        rate = len(self.losses) * self.batch_size / elapsed
        self.losses, self.since = [], time.monotonic()
        _refuse_divergence(means, step)
        return means, rate


_DIVERGED = 1e9
"""A loss above this means that training has diverged; a good state must not be overwritten then."""


def _refuse_divergence(losses: dict[str, float], step: int) -> None:
    for name, value in losses.items():
        if not abs(value) < _DIVERGED:  # true of NaN as well
            raise TrainingError(
                f"training diverged before step {step}: the loss '{name}' is {value:.3g}; "
                "the last saved state is kept; try a lower --learning-rate"
            )
