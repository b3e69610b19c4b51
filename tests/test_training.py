from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from aleph.datasets import find_sources, load_squares, read_partition, split_sources
from aleph.errors import InputError, OutputError, TrainingError
from aleph.files import working_alone
from aleph.inpainter import Inpainter
from aleph.models.config import ModelConfig
from aleph.models.zoo import load_model, read_card
from aleph.progress import Advance, Reporter
from aleph.training.batches import Batches
from aleph.training.config import TrainConfig
from aleph.training.export import export_run
from aleph.training.loop import Devices, Outcome, train
from aleph.training.recipes.amortised import AmortisedRecipe, _Codes, _unpaired_codes
from aleph.training.recipes.dcgan import DCGANRecipe
from aleph.training.recipes.ema import decay_at, ema_copy, update_ema
from aleph.training.run import create_run, extend_run, read_run
from aleph.training.state import read_meta
from aleph.training.step import Step
from helpers import KINDS, TINY_TRAINING, files_below, noise, write_plain_pictures

CPU = Devices("cpu", "1", 1)


def begin(
    folder: Path,
    data: Path | list[Path],
    kind: str = "dcgan",
    reporter: Reporter | None = None,
    **settings: object,
) -> Outcome:
    """Train a new run inside this process."""
    usual = {"batch_size": 8, "precision": "fp32", "log_every": 2, "adversary_start": 3}
    config = TrainConfig(**{**usual, **settings})  # type: ignore[arg-type]
    paths = data if isinstance(data, list) else [data]
    run = create_run(folder, paths, KINDS[kind], config)
    quiet = Reporter(enabled=False)
    return train(run, resume=False, devices=CPU, reporter=reporter or quiet)


class StopsAt(Reporter):
    """Interrupts a run as Ctrl-C does, once it shows so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(enabled=False)
        self.steps = steps

    @contextmanager
    def progress(
        self, what: str, total: int | None = None, done: int = 0, transient: bool = False
    ) -> Iterator[Advance]:
        with super().progress(what, total, done, transient) as show:

            def advance(
                done: float, figures: Mapping[str, float] | None = None, total: int | None = None
            ) -> None:
                show(done, figures, total)
                if what == "training" and done == self.steps:
                    signal.raise_signal(signal.SIGINT)

            yield advance


def go_on(folder: Path, steps: int) -> Outcome:
    """Resume a run inside this process, up to so many steps in all."""
    run = extend_run(read_run(folder), {"steps": steps}, {})
    return train(run, resume=True, devices=CPU, reporter=Reporter(enabled=False))


def assert_same_state(one: Path, other: Path) -> None:
    """Both runs hold the same numbers, bit for bit, at the same step."""
    first, second = (load_file(run / "state.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    differing = [key for key, value in first.items() if not torch.equal(value, second[key])]
    assert differing == []
    metas = [read_meta(run / "state.safetensors") for run in (one, other)]
    assert metas[0]["step"] == metas[1]["step"]


def logged_steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "losses.jsonl").read_text().splitlines()]


def packed_shades(run: Path) -> list[int]:
    """The shades of the plain pictures that a run trains on."""
    return sorted(int(image[8, 8, 0]) for image in np.load(run / "images-16.npy"))


# --- data -------------------------------------------------------------------------------------


def zip_pictures(path: Path, pictures: list[Path], inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for picture in pictures:
            archive.write(picture, f"{inside}{picture.name}")
    return path


def shades(squares: np.ndarray) -> list[int]:
    return [int(square[4, 4, 0]) for square in squares]


def test_pictures_are_found_in_folders_and_zips_and_several_of_both(tmp_path: Path) -> None:
    write_plain_pictures(tmp_path / "a", 3)
    write_plain_pictures(tmp_path / "a" / "deeper" / "still", 2, first=10)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    packed = zip_pictures(tmp_path / "b.zip", write_plain_pictures(tmp_path / "x", 2, first=20))
    squares, kept, skipped = load_squares(find_sources([tmp_path / "a", packed]), 8)
    assert sorted(shades(squares)) == [0, 1, 2, 10, 11, 20, 21]
    assert len(kept) == 7
    assert skipped == []


def test_pictures_given_twice_are_used_once(tmp_path: Path) -> None:
    write_plain_pictures(tmp_path / "a" / "b", 3)
    sources = find_sources([tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a"])
    assert len(sources) == 3


def test_the_side_files_of_a_mac_are_no_pictures(tmp_path: Path) -> None:
    pictures = write_plain_pictures(tmp_path / "x", 2)
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        archive.write(pictures[0], "photos/000.png")
        archive.writestr("__MACOSX/photos/000.png", "side file")
        archive.writestr("photos/._000.png", "side file")
    assert len(find_sources([tmp_path / "mac.zip"])) == 1


def test_pictures_are_cut_to_their_centre_square_and_scaled(tmp_path: Path) -> None:
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[:, 30:70] = (200, 100, 50)
    Image.fromarray(picture).save(tmp_path / "wide.png")
    squares, _, _ = load_squares(find_sources([tmp_path]), 8)
    assert squares.shape == (1, 8, 8, 3)
    assert (squares == (200, 100, 50)).all()


@pytest.mark.parametrize("name", ["nowhere", "text.txt", "cut.zip", "index.zip"])
def test_data_that_is_neither_folder_nor_zip_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("x")
    whole = zip_pictures(tmp_path / "w.zip", write_plain_pictures(tmp_path / "x", 3)).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "index.zip").write_bytes(whole.replace(b"PK\x01\x02", b"XXXX"))
    with pytest.raises(InputError, match=name):
        find_sources([tmp_path / name])


def test_unreadable_files_are_named_and_the_others_kept(tmp_path: Path) -> None:
    paths = write_plain_pictures(tmp_path / "a", 5)
    paths[1].write_bytes(paths[1].read_bytes()[:50])
    paths[3].write_text("no picture at all")
    squares, kept, skipped = load_squares(find_sources([tmp_path / "a"]), 8)
    assert shades(squares) == [0, 2, 4]
    assert [source.basename for source in kept] == ["000.png", "002.png", "004.png"]
    assert len(skipped) == 2
    assert "001.png" in skipped[0]
    assert "003.png" in skipped[1]


def test_unreadable_members_of_a_zip_are_named_and_the_others_kept(tmp_path: Path) -> None:
    texture = io.BytesIO()
    Image.fromarray(noise(64, 64) // 4).save(texture, "BMP")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("broken.bmp", texture.getvalue())
        archive.writestr("cut.bmp", texture.getvalue()[:100])
        archive.writestr("whole.bmp", texture.getvalue())
    content = bytearray(path.read_bytes())
    content[200:300] = b"\xff" * 100  # inside the first member's compressed data
    path.write_bytes(content)
    squares, kept, skipped = load_squares(find_sources([path]), 64)
    assert [source.basename for source in kept] == ["whole.bmp"]
    assert np.array_equal(squares[0], noise(64, 64) // 4)
    assert len(skipped) == 2
    assert "broken.bmp" in skipped[0]
    assert "cut.bmp" in skipped[1]
    assert all(line.isprintable() for line in skipped)


def write_celeba(folder: Path) -> Path:
    """Nine pictures as CelebA's authors publish them: to train, to validate and to test."""
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    parts = [0, 0, 2, 0, 1, 0, 2, 0, 0]
    lines = []
    for number, part in enumerate(parts):
        name = f"{number + 1:06d}.jpg"
        Image.new("RGB", (178, 218), (number * 20,) * 3).save(pictures / name, quality=100)
        lines.append(f"{name} {part}\n")
    (folder / "list_eval_partition.txt").write_text("".join(lines))
    return pictures


@pytest.mark.parametrize("as_zip", [False, True])
def test_celebas_partition_decides_what_is_trained_on_and_held_out(
    as_zip: bool, tmp_path: Path
) -> None:
    data = write_celeba(tmp_path / "celeba")
    if as_zip:
        data = zip_pictures(
            tmp_path / "celeba" / "img_align_celeba.zip",
            sorted(data.iterdir()),
            "img_align_celeba/",
        )
    begin(tmp_path / "run", data, batch_size=4, steps=1, holdout=2)
    assert packed_shades(tmp_path / "run") == [0, 20, 60, 100, 140, 160]
    held_out = (tmp_path / "run" / "holdout.txt").read_text().split()
    assert [Path(name.replace(":", "/")).name for name in held_out] == ["000003.jpg", "000007.jpg"]


def test_more_cannot_be_held_out_than_celebas_test_part_holds(tmp_path: Path) -> None:
    sources = find_sources([write_celeba(tmp_path)])
    partition = read_partition(tmp_path / "list_eval_partition.txt")
    with pytest.raises(TrainingError, match="only 2"):
        split_sources(sources, 3, 0, partition)


def test_a_partition_with_a_header_and_commas_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("image_id,partition\n000001.jpg,0\n000002.jpg,2\n")
    assert read_partition(tmp_path / "p.csv") == {"000001.jpg": 0, "000002.jpg": 2}


@pytest.mark.parametrize("text", ["a.jpg 0\nb.jpg 7\n", "a.jpg 0\nb.jpg\n", "a.jpg 0\nb c 1\n"])
def test_a_partition_with_a_wrong_line_is_refused_with_its_number(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(InputError, match="line 2"):
        read_partition(tmp_path / "p.txt")


def test_held_out_pictures_are_listed_and_never_trained_on(tmp_path: Path) -> None:
    write_plain_pictures(tmp_path / "a", 20)
    begin(tmp_path / "run", tmp_path / "a", steps=1, holdout=5)
    listed = (tmp_path / "run" / "holdout.txt").read_text().splitlines()
    held_out = sorted(int(Path(line).stem) for line in listed)
    assert len(set(held_out)) == 5
    assert sorted(packed_shades(tmp_path / "run") + held_out) == list(range(20))
    begin(tmp_path / "again", tmp_path / "a", steps=1, holdout=5)
    begin(tmp_path / "other", tmp_path / "a", steps=1, holdout=5, seed=1)
    assert packed_shades(tmp_path / "again") == packed_shades(tmp_path / "run")
    assert packed_shades(tmp_path / "other") != packed_shades(tmp_path / "run")


@pytest.mark.parametrize(("count", "broken"), [(7, 0), (0, 0), (9, 2)])
def test_too_few_pictures_are_an_error_that_says_how_many(
    count: int, broken: int, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    for path in write_plain_pictures(tmp_path / "a", count)[:broken]:
        path.write_text("x")
    with pytest.raises(TrainingError, match=rf"too few images: {count - broken} .*holds 8"):
        begin(tmp_path / "run", tmp_path / "a", steps=1)


def test_after_too_few_pictures_the_same_folder_can_be_tried_again(tmp_path: Path) -> None:
    write_plain_pictures(tmp_path / "a", 5)
    with pytest.raises(TrainingError, match="too few"):
        begin(tmp_path / "run", tmp_path / "a", steps=1)
    write_plain_pictures(tmp_path / "a", 12)
    begin(tmp_path / "run", tmp_path / "a", steps=1)
    assert packed_shades(tmp_path / "run") == list(range(12))


@given(count=st.integers(1, 30), size=st.integers(1, 12), seed=st.integers(0, 5))
def test_every_epoch_visits_every_picture_once(count: int, size: int, seed: int) -> None:
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    batches = Batches(images, size, seed)
    stream = np.concatenate([batches(step) for step in range(3 * count)]).ravel()
    for epoch in range(3):
        visited = stream[epoch * count : (epoch + 1) * count]
        assert sorted(visited.tolist()) == list(range(count))


@given(
    count=st.integers(1, 30),
    share=st.integers(1, 5),
    ranks=st.integers(1, 4),
    step=st.integers(0, 10**6),
)
def test_a_batch_is_a_function_of_its_step_and_the_ranks_share_it(
    count: int, share: int, ranks: int, step: int
) -> None:
    images = np.zeros((count, 1, 1, 3), np.uint8)
    batches = Batches(images, share * ranks, 7)
    whole = batches.indices(step)
    batches.indices(3)  # what was asked before has no influence
    parts = [batches.indices(step, rank, ranks) for rank in range(ranks)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(Batches(images, share * ranks, 7).indices(step), whole)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    images = np.zeros((50, 1, 1, 3), np.uint8)
    orders = [Batches(images, 50, seed).indices(epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4


# --- averages ---------------------------------------------------------------------------------


def test_the_average_holds_the_buffers_as_well_as_the_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average = ema_copy(network)
    before = {key: value.clone() for key, value in average.state_dict().items()}
    network.train()
    network(torch.randn(8, 3, 5, 5) + 3)
    with torch.no_grad():
        network[0].weight.add_(1.0)
    update_ema(average, network, 0.75)
    live = network.state_dict()
    for key, value in average.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[key] + 0.25 * live[key])
        else:
            assert torch.equal(value, live[key])
    assert not torch.equal(average.state_dict()["1.running_mean"], before["1.running_mean"])
    assert int(average.state_dict()["1.num_batches_tracked"]) == 1
    assert not average.training
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_an_average_of_another_network_is_an_error() -> None:
    with pytest.raises(KeyError):
        update_ema(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.5)


def test_a_weights_share_in_the_average_halves_in_its_half_life() -> None:
    late = decay_at(10**9, batch_size=50, half_life=1000)
    assert late ** (1000 / 50) == pytest.approx(0.5)
    early = [decay_at(seen, 50, 1000) for seen in (0, 1000, 5000, 20_000, 10**6)]
    assert early == sorted(early)  # the first, bad weights are forgotten sooner
    assert early[0] < 0.01


# --- runs -------------------------------------------------------------------------------------


def test_a_run_writes_its_settings_state_losses_samples_and_tensorboard(
    pictures: Path, tmp_path: Path
) -> None:
    outcome = begin(tmp_path / "run", pictures, steps=5, sample_every=2, save_every=2)
    assert (outcome.step, outcome.finished, outcome.first_process) == (5, True, True)
    files = files_below(tmp_path / "run")
    wanted = {"config.json", "state.safetensors", "losses.jsonl", "images-16.npy"}
    wanted |= {f"samples/{step:07d}.png" for step in (2, 4, 5)}
    assert wanted <= files
    events = {name for name in files if name.startswith("tensorboard/events")}
    assert files == wanted | events
    assert events
    assert logged_steps(tmp_path / "run") == [2, 4, 5]
    row = json.loads((tmp_path / "run" / "losses.jsonl").read_text().splitlines()[0])
    assert {"generator", "discriminator", "images_per_second"} <= row.keys()
    with Image.open(tmp_path / "run" / "samples" / "0000005.png") as grid:
        assert grid.size == (128, 128)  # eight by eight pictures of 16 pixels
    assert read_run(tmp_path / "run").train.steps == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopping_and_resuming_equals_a_straight_run_bit_for_bit(
    kind: str, precision: str, pictures: Path, tmp_path: Path
) -> None:
    begin(tmp_path / "straight", pictures, kind, steps=8, precision=precision)
    stopped = begin(tmp_path / "halves", pictures, kind, StopsAt(4), steps=8, precision=precision)
    assert (stopped.step, stopped.finished) == (5, False)
    with pytest.raises(AssertionError):
        assert_same_state(tmp_path / "straight", tmp_path / "halves")
    assert go_on(tmp_path / "halves", 8).finished
    assert_same_state(tmp_path / "straight", tmp_path / "halves")


def test_arithmetic_is_chosen_for_the_device_when_a_run_begins_and_kept(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for precision, other in (("fp32", "bf16"), ("bf16", "fp32")):
        straight, halves = tmp_path / precision, tmp_path / f"{precision}-in-halves"
        begin(straight, pictures, steps=4, precision=precision)
        monkeypatch.setattr("aleph.training.loop.choose_precision", lambda _, best=precision: best)
        begin(halves, pictures, "dcgan", StopsAt(2), steps=4, precision="auto")
        assert read_run(halves).train.precision == precision
        # another machine would have chosen otherwise
        monkeypatch.setattr("aleph.training.loop.choose_precision", lambda _, best=other: best)
        assert go_on(halves, 4).finished
        assert_same_state(straight, halves)


def test_a_run_of_more_steps_goes_on_from_where_a_finished_one_stands(
    pictures: Path, tmp_path: Path
) -> None:
    begin(tmp_path / "straight", pictures, steps=8)
    begin(tmp_path / "longer", pictures, steps=4)
    assert go_on(tmp_path / "longer", 8).finished
    assert_same_state(tmp_path / "straight", tmp_path / "longer")


def test_the_step_size_rises_over_200_steps_then_falls_to_nearly_nothing() -> None:
    config = TrainConfig(steps=1000, learning_rate=1e-3)
    recipe = AmortisedRecipe(KINDS["amortised"], config, torch.device("cpu"))
    sizes = {}
    for index in (0, 199, 500, 999):
        recipe.set_step_size("encoder", index)
        sizes[index] = recipe.optimizers["encoder"].param_groups[0]["lr"]
    # (0.02 + 0.49 (1 + cos πi/1000)) of 1e-3: 1, 0.9073, 0.51, 0.02 of it, the first 1/200.
    by_hand = {0: 5e-6, 199: 9.0732e-4, 500: 5.1e-4, 999: 2.0e-5}
    assert sizes == pytest.approx(by_hand, rel=1e-3)
    assert recipe.optimizers["discriminator"].param_groups[0]["lr"] == 1e-3


def test_the_interval_of_saving_and_showing_does_not_change_the_run(
    pictures: Path, tmp_path: Path
) -> None:
    begin(tmp_path / "rarely", pictures, steps=6)
    begin(tmp_path / "often", pictures, steps=6, save_every=1, sample_every=1, log_every=1)
    assert_same_state(tmp_path / "rarely", tmp_path / "often")


def test_another_seed_is_another_run(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "a", pictures, steps=1)
    begin(tmp_path / "b", pictures, steps=1, seed=1)
    with pytest.raises(AssertionError):
        assert_same_state(tmp_path / "a", tmp_path / "b")


def test_the_average_moves_with_the_network_but_is_not_it(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=12, average_half_life=500)
    state = load_file(tmp_path / "run" / "state.safetensors")
    for key in ("layers.0.weight", "layers.1.running_mean"):
        network, average = state[f"network/generator/{key}"], state[f"average/generator/{key}"]
        assert not torch.equal(network, average)
        assert torch.isfinite(average).all()


def test_every_logged_step_is_there_once_after_resuming(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin(run, pictures, steps=6, save_every=4, log_every=1)
    state_of_4 = tmp_path / "at-4"
    begin(state_of_4, pictures, steps=4, log_every=1)
    # As a kill leaves it: the log is ahead of the state, and its last line is cut short.
    (run / "state.safetensors").write_bytes((state_of_4 / "state.safetensors").read_bytes())
    with (run / "losses.jsonl").open("a") as log:
        log.write('{"step": 7, "discrimin')
    go_on(run, 8)
    assert logged_steps(run) == [1, 2, 3, 4, 5, 6, 7, 8]
    go_on(run, 8)
    assert logged_steps(run) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_resuming_a_finished_run_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=3)
    begin(tmp_path / "same", pictures, steps=3)
    outcome = go_on(tmp_path / "run", 3)
    assert (outcome.step, outcome.finished) == (3, True)
    assert_same_state(tmp_path / "run", tmp_path / "same")


def test_a_new_run_never_overwrites_an_old_one(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="already holds a run: add --resume"):
        begin(tmp_path / "run", pictures, steps=2)
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


def test_two_processes_do_not_train_in_one_folder(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    with working_alone(tmp_path / "run"), pytest.raises(OutputError, match="another aleph"):
        go_on(tmp_path / "run", 3)
    assert go_on(tmp_path / "run", 3).step == 3


def test_a_run_does_not_lie_among_its_images(pictures: Path) -> None:
    before = files_below(pictures)
    with pytest.raises(OutputError, match="cannot go into"):
        begin(pictures / "run", pictures, steps=1)
    assert files_below(pictures) == before


@pytest.mark.parametrize("kind", ["damage", "surroundings"])
def test_networks_that_halve_five_times_need_32_pixels(kind: str) -> None:
    assert ModelConfig.default(kind, resolution=32).resolution == 32
    with pytest.raises(InputError, match="from 32 to 1024, not 16"):
        ModelConfig.default(kind, resolution=16)


def test_what_decided_the_past_of_a_run_cannot_be_changed(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    run = read_run(tmp_path / "run")
    with pytest.raises(TrainingError, match="batch_size 8; it cannot go on with 4"):
        extend_run(run, {"batch_size": 4}, {})
    with pytest.raises(TrainingError, match="latent_dim 8"):
        extend_run(run, {}, {"latent_dim": 9})
    assert extend_run(run, {"batch_size": 8, "steps": 5, "save_every": 1}, {}).train.steps == 5


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"data": [], "model": 3}'])
def test_a_damaged_configuration_of_a_run_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(TrainingError, match="not the configuration of a run"):
        read_run(tmp_path)


@pytest.mark.parametrize("size", [0, 100, -10])
def test_a_damaged_state_is_refused(size: int, pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:size])
    with pytest.raises(TrainingError, match="damaged"):
        go_on(tmp_path / "run", 2)


def test_a_run_whose_losses_explode_stops_and_keeps_a_state_from_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = DCGANRecipe.step

    def exploding(self: DCGANRecipe, real: Tensor, step: object) -> dict[str, Tensor]:
        factor = 1e12 if step.index >= 5 else 1.0  # type: ignore[attr-defined]
        losses = sound(self, real, step)  # type: ignore[arg-type]
        return {name: value * factor for name, value in losses.items()}

    monkeypatch.setattr(DCGANRecipe, "step", exploding)
    with pytest.raises(TrainingError, match="lower --learning-rate"):
        begin(tmp_path / "run", pictures, steps=20, save_every=2, log_every=10)
    assert read_meta(tmp_path / "run" / "state.safetensors")["step"] <= 5


def test_damaged_packed_images_are_refused_with_what_to_do(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    images = tmp_path / "run" / "images-16.npy"
    images.write_bytes(images.read_bytes()[:500])
    with pytest.raises(TrainingError, match="delete it and resume"):
        go_on(tmp_path / "run", 2)
    images.unlink()
    assert go_on(tmp_path / "run", 2).step == 2


def test_a_run_that_diverges_stops_and_keeps_a_state_from_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = DCGANRecipe.step

    def poisoned(self: DCGANRecipe, real: Tensor, step: object) -> dict[str, Tensor]:
        if step.index >= 5:  # type: ignore[attr-defined]
            with torch.no_grad():
                next(self.networks["generator"].parameters()).fill_(float("nan"))
        return sound(self, real, step)  # type: ignore[arg-type]

    monkeypatch.setattr(DCGANRecipe, "step", poisoned)
    with pytest.raises(TrainingError, match="diverged"):
        begin(tmp_path / "run", pictures, steps=20, save_every=2, log_every=10)
    state = load_file(tmp_path / "run" / "state.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())
    assert read_meta(tmp_path / "run" / "state.safetensors")["step"] <= 5


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_run_is_a_model_that_fills_holes(
    kind: str, pictures: Path, tmp_path: Path
) -> None:
    begin(tmp_path / "run", pictures, kind, steps=4)
    assert export_run(tmp_path / "run", tmp_path / "model") == 4
    assert files_below(tmp_path / "model") == {"config.json", "model.safetensors", "README.md"}
    mirrored = replace(KINDS[kind], mirrored=True)  # images are mirrored unless --no-flip says not
    assert load_model(tmp_path / "model", "cpu").config == mirrored
    image = noise(16, 16)
    result = Inpainter.from_pretrained(tmp_path / "model", device="cpu")(image, "center", steps=2)
    assert np.array_equal(result.image[~result.hole], image[~result.hole])
    card = read_card(tmp_path / "model")
    assert card.startswith("# model\n")
    assert "4 steps of 8 images (32 images seen)" in card


def test_a_model_of_images_that_were_never_mirrored_says_so(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=2, flip=False)
    export_run(tmp_path / "run", tmp_path / "model")
    assert not load_model(tmp_path / "model", "cpu").config.mirrored


def test_exporting_twice_gives_the_same_weights(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=2)
    for name in ("a", "b"):
        export_run(tmp_path / "run", tmp_path / name)
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert all(torch.equal(value, b[key]) for key, value in a.items())


def test_exporting_a_run_onto_itself_is_refused_and_the_run_survives(
    pictures: Path, tmp_path: Path
) -> None:
    begin(tmp_path / "run", pictures, steps=2)
    before = files_below(tmp_path / "run")
    with pytest.raises(OSError, match="run"):
        export_run(tmp_path / "run", tmp_path / "run")
    assert files_below(tmp_path / "run") == before


def test_a_run_without_a_state_cannot_be_exported(pictures: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", pictures, steps=1)
    (tmp_path / "run" / "state.safetensors").unlink()
    with pytest.raises(TrainingError, match="no state"):
        export_run(tmp_path / "run", tmp_path / "model")
    assert not (tmp_path / "model").exists()


# --- processes of their own -------------------------------------------------------------------

LONG = ("--steps", "1000000", "--sample-every", "1000000", "--log-every", "1")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `aleph` in the background; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        with (tmp_path / "stderr.txt").open("w") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "aleph", *map(str, arguments)],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def wait_for(ready: Callable[[], bool], child: subprocess.Popen[str], errors: Path) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert child.poll() is None, errors.read_text()
        assert time.monotonic() < end, "nothing happened for two minutes"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_cleanly_and_the_run_goes_on_as_if_nothing_had_been(
    number: signal.Signals,
    process: Callable[..., subprocess.Popen[str]],
    pictures: Path,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    child = process("train", pictures, "--out", run, *TINY_TRAINING, *LONG)
    log = run / "losses.jsonl"
    wait_for(lambda: log.exists() and log.stat().st_size > 0, child, tmp_path / "stderr.txt")
    assert not (run / "state.safetensors").exists()
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    done = read_meta(run / "state.safetensors")["step"]
    assert f"stopped at step {done}" in out
    assert "--resume" in out
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()
    assert logged_steps(run) == list(range(1, done + 1))

    go_on(run, done + 3)
    begin(tmp_path / "straight", pictures, steps=done + 3)
    assert_same_state(run, tmp_path / "straight")
    assert logged_steps(run) == list(range(1, done + 4))


def test_a_killed_run_goes_on_as_if_nothing_had_been(
    process: Callable[..., subprocess.Popen[str]], pictures: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    child = process("train", pictures, "--out", run, *TINY_TRAINING, *LONG, "--save-every", "1")
    wait_for((run / "state.safetensors").exists, child, tmp_path / "stderr.txt")
    time.sleep(0.5)  # somewhere between two states, or in the middle of writing one
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    done = read_meta(run / "state.safetensors")["step"]

    go_on(run, done + 3)
    begin(tmp_path / "straight", pictures, steps=done + 3)
    assert_same_state(run, tmp_path / "straight")
    assert logged_steps(run) == list(range(1, done + 4))


TWO = (*TINY_TRAINING, "--log-every", "1", "--steps", "6")


def train_with(launcher: list[str], pictures: Path, folder: Path, *options: str) -> str:
    """Train by a command that starts two processes; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "train", pictures, "--out", "run", *TWO, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shared_run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes; not to be changed."""
    folder = tmp_path_factory.mktemp("two")
    out = train_with(["aleph"], pictures, folder, "--devices", "2")
    assert out.count("finished at step 6") == 1
    return folder / "run"


def test_two_processes_train_one_model_on_both_halves_of_every_batch(
    shared_run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(shared_run, tmp_path / "run"))
    assert [path.name for path in run.glob("*.safetensors")] == ["state.safetensors"]
    assert read_meta(run / "state.safetensors")["step"] == 6
    assert logged_steps(run) == [1, 2, 3, 4, 5, 6]
    state = load_file(run / "state.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())

    # What the first process would have come to, had it not listened to the second.
    shared = Batches.__call__
    monkeypatch.setattr(Batches, "__call__", lambda self, step, *_: shared(self, step, 0, 2))
    begin(tmp_path / "alone", pictures, steps=6)
    alone = load_file(tmp_path / "alone" / "state.safetensors")
    for role in ("generator", "discriminator"):
        key = f"network/{role}/layers.0.weight"
        assert not torch.allclose(state[key], alone[key], atol=1e-5)

    monkeypatch.undo()
    assert go_on(run, 8).step == 8  # a single process goes on with it
    assert export_run(run, tmp_path / "model") == 8


def test_torchrun_trains_the_same_model(shared_run: Path, pictures: Path, tmp_path: Path) -> None:
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "aleph"]
    out = train_with(torchrun, pictures, tmp_path)
    assert out.count("finished at step 6") == 1
    assert_same_state(shared_run, tmp_path / "run")


def test_codes_that_belong_to_no_image_take_each_number_from_one_that_does() -> None:
    random = torch.Generator().manual_seed(0)
    whole = torch.randn((6, 9), generator=random)
    wide = torch.zeros((12, 9))
    hole = torch.zeros((12, 1, 4, 4), dtype=torch.bool)
    codes = _Codes(hole, wide, wide - 20.0, whole, whole)
    step = Step.at(3, 0, SimpleNamespace(device=torch.device("cpu"), global_rank=0))  # type: ignore[arg-type]
    mixed, guessed = _unpaired_codes(codes, whole, step).split([6, 3])
    assert torch.equal(mixed.sort(dim=0).values, whole.sort(dim=0).values)
    assert not (mixed == whole).all(dim=1).any()
    torch.testing.assert_close(guessed, torch.zeros(3, 9), atol=1e-3, rtol=0)
