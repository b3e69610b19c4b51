"""Trials: what becomes of one mutant, and whether that is what aleph promises."""

from __future__ import annotations

import io
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aleph.errors import AlephError, FrameWarning, MaskWarning, PhotoWarning
from aleph.masks.read import Mask, read_damaged, read_hole
from aleph.photo.encode import encode_photo
from aleph.photo.photo import Photo, decode_photo
from benchmarks.safety.api import odd_request
from benchmarks.safety.mutants import mutate_model, mutated
from benchmarks.safety.seeds import SHAPE, Seed, pictures
from benchmarks.safety.served import Server

OURS = (MaskWarning, PhotoWarning, FrameWarning)
"""Warnings that are meant for the user."""


@dataclass
class Trial:
    """What became of a mutant.

    Attributes:
        name: Number and kind of the mutant.
        ended: `done`, `refused`, or what is wrong: `traceback`, `sentence`, `warning`, `chatter`.
        said: The sentence, or what went wrong and where.
        seconds: Time that the processor worked at it, all threads together.
        mebibytes: Most memory of the process while it was tried.
    """

    name: str
    ended: str
    said: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0


@dataclass
class Trials:
    """Makes mutants by their numbers and tries them.

    Args:
        seed: Decides all mutants, with their numbers.
        folder: Where mutants are written while they are tried.
    """

    seed: int
    folder: Path
    _seeds: list[Seed] = field(default_factory=pictures)
    _model: Path | None = None
    _server: Server | None = None

    def prepare(self) -> None:
        """Load what is loaded once, so that no mutant is held to account for it."""
        from aleph.models.folder import load_networks

        self._model = _tiny_model(self.folder / "sound")
        load_networks(self._model)
        for seed in self._seeds:
            path = self.folder / f"sound{seed.suffix}"
            path.write_bytes(seed.data)
            watched(seed.name, lambda path=path: try_photo(path))  # type: ignore[misc]
        self._request("the first", np.random.default_rng(0))

    def run(self, number: int) -> Trial:
        """Make and try a mutant."""
        rng = np.random.default_rng([self.seed, number])
        kind = rng.random()
        if kind < 0.5:
            return self._picture(f"{number} photo", rng, try_photo)
        if kind < 0.7:
            return self._picture(f"{number} mask", rng, try_mask)
        if kind < 0.8:
            return self._spoilt_model(f"{number} model", rng)
        return self._request(f"{number} request", rng)

    def mutant(self, rng: np.random.Generator) -> tuple[Seed, bytes]:
        """Return a sound picture and a mutant of it."""
        seed = self._seeds[int(rng.integers(len(self._seeds)))]
        return seed, mutated(seed.data, [other.data for other in self._seeds], rng)

    def _picture(self, name: str, rng: np.random.Generator, act: Callable[[Path], None]) -> Trial:
        seed, data = self.mutant(rng)
        path = self.folder / f"mutant{seed.suffix}"
        path.write_bytes(data)
        return watched(f"{name} {seed.name}", lambda: act(path))

    def _spoilt_model(self, name: str, rng: np.random.Generator) -> Trial:
        from aleph.models.folder import load_networks

        folder = self.folder / "model"
        shutil.rmtree(folder, ignore_errors=True)
        self._model = self._model or _tiny_model(self.folder / "sound")
        shutil.copytree(self._model, folder)
        mutate_model(folder, rng)
        return watched(name, lambda: load_networks(folder))

    def _request(self, name: str, rng: np.random.Generator) -> Trial:
        """Send an odd request to a server in this process; none if the web is not installed."""
        if self._server is None:
            self._server = Server(self._model or _tiny_model(self.folder / "sound"))
        server = self._server
        request = odd_request(rng, [seed.data for seed in self._seeds], server.jobs)
        trial = watched(f"{name} {request.method} {request.path[:60]}", lambda: server.ask(request))
        # What decoders say in a server's threads goes to its log, as docs/security.md says; files
        # of forms that cannot be parsed are closed late, by Starlette.
        log = trial.ended == "chatter" and "Traceback" not in trial.said
        if log or (trial.ended == "warning" and trial.said.startswith("Unclosed file")):
            trial.ended = "done"
        return trial


def try_photo(path: Path) -> None:
    """Read a photo, fill it, write it in its own format and as a PNG, and read that again."""
    photo, hole = read_damaged(path, Mask("center"))
    fill = 255 - photo.pixels
    encoded = encode_photo(photo, fill, hole, ".png")
    again = decode_photo(encoded)
    known = ~hole
    if again.samples.dtype == photo.samples.dtype and again.space == photo.space:
        assert np.array_equal(again.samples[known], photo.samples[known]), "known pixels changed"
    encode_photo(photo, fill, hole, path.suffix)


def try_mask(path: Path) -> None:
    """Read a mask for a photo of the size that the seeds have."""
    rng = np.random.default_rng(0)
    photo = Photo(rng.integers(0, 256, (*SHAPE, 3), np.uint8), "RGB", decode_photo(_PLAIN).metadata)
    read_hole(path, SHAPE, photo=photo)


def _plain() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", SHAPE[::-1]).save(buffer, "PNG")
    return buffer.getvalue()


_PLAIN = _plain()


def _tiny_model(folder: Path) -> Path:
    from aleph.models.config import ModelConfig
    from aleph.models.folder import save_model
    from aleph.models.networks import build_networks

    config = ModelConfig(
        kind="dcgan", resolution=16, latent_dim=8, generator_width=8, discriminator_width=8
    )
    save_model(folder, config, build_networks(config), "# sound\n")
    return folder


def watched(name: str, act: Callable[[], object]) -> Trial:
    """Do something and note how it ended, what it said besides, and what it cost."""
    _forget_peak()
    began = time.process_time()
    with tempfile.TemporaryFile() as errors, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(errors.fileno(), 2)
        try:
            trial = _ended(name, act)
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        errors.seek(0)
        chatter = errors.read(500).decode("utf-8", "replace").strip()
    foreign = [w for w in caught if not issubclass(w.category, OURS)]
    if trial.ended in ("done", "refused") and (foreign or chatter):
        trial.ended = "warning" if foreign else "chatter"
        trial.said = str(foreign[0].message) if foreign else chatter
    trial.seconds, trial.mebibytes = time.process_time() - began, _peak()
    return trial


def _ended(name: str, act: Callable[[], object]) -> Trial:
    try:
        act()
    except AlephError as error:
        said = str(error)
        return Trial(
            name, "refused" if said.isprintable() and len(said) < 600 else "sentence", said
        )
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return Trial(name, "traceback", f"{type(error).__name__} at {where}: {error}"[:300])
    return Trial(name, "done")


def _forget_peak() -> None:
    """Let the system measure the peak of this process's memory anew, where it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> float:
    """Return the peak of this process's memory in MiB, since it was forgotten last."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        pass
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
