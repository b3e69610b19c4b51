"""Training of a finder of damage: made-up samples, the recipe, runs that go on bit for bit."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from aleph.errors import InputError
from aleph.models.zoo import load_damage_model
from aleph.progress import Reporter
from aleph.training.config import TrainConfig
from aleph.training.export import export_run
from aleph.training.loop import Devices, train
from aleph.training.recipes.damage import DamageRecipe, losses
from aleph.training.recipes.looks import Shown, looks
from aleph.training.run import create_run, read_run, split_data
from aleph.training.samples.artefacts import Artefacts, is_held_out
from aleph.training.samples.content import backdrop, cut_out
from aleph.training.samples.damaged import DAMAGE, INTACT, UNSURE, Damager, label_of, paper_of
from aleph.training.samples.flaws import FLAWS, Flaw
from aleph.training.samples.labelled import LabelledPhoto, labelled_sample, read_labelled
from helpers import noise
from test_damage import TINY_FINDER


def smooth(side: int) -> np.ndarray:
    """A picture without detail, uint8 (side, side, 3)."""
    ramp = np.linspace(60, 190, side, dtype=np.float32)
    return np.repeat((ramp + ramp[:, None])[:, :, None] / 2, 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 40 dark bars on clear ground, of one kind."""
    path = tmp_path_factory.mktemp("artefacts") / "artefacts.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(40):
            opacity = np.zeros((60, 60), np.uint8)
            opacity[20:30, 5 : 15 + number] = 255
            buffer = BytesIO()
            Image.fromarray(opacity).save(buffer, "PNG")
            archive.writestr(f"bars/bar-{number:03d}.png", buffer.getvalue())
    return path


# --- samples


@pytest.mark.parametrize("kind", FLAWS)
def test_every_kind_of_damage_is_seen_and_labelled(kind: str) -> None:
    damager = Damager(96)
    samples = [
        damager.sample(smooth(120), np.random.default_rng(seed), [kind]) for seed in range(8)
    ]
    assert all(s.image.shape == (96, 96, 3) and s.image.dtype == np.uint8 for s in samples)
    assert {int(v) for s in samples for v in np.unique(s.label)} <= {DAMAGE, INTACT, UNSURE}
    assert sum(bool((s.label == DAMAGE).any()) for s in samples) >= 4
    again = damager.sample(smooth(120), np.random.default_rng(0), [kind])
    assert np.array_equal(again.image, samples[0].image)
    assert np.array_equal(again.label, samples[0].label)


def test_an_intact_picture_has_no_damage() -> None:
    for seed in range(12):
        sample = Damager(64).sample(noise(80, 90, seed), np.random.default_rng(seed), [])
        assert (sample.label == INTACT).all() and sample.kinds == ()


def test_some_samples_stay_intact_and_none_is_wholly_covered() -> None:
    damager = Damager(64, intact=0.5)
    samples = [damager.sample(smooth(80), np.random.default_rng(seed)) for seed in range(60)]
    intact = sum(not s.kinds for s in samples)
    assert 15 < intact < 45
    assert max(float((s.label == DAMAGE).mean()) for s in samples) < 0.8


def test_a_faint_line_is_damage_where_a_faint_place_is_open() -> None:
    """The eye goes along a line: six levels show it, where a place has to be twelve off."""

    def labelled(line: int, place: int) -> tuple[int, int]:
        print_, opaque = np.full((96, 96, 3), 180, np.float32), np.zeros((96, 96), np.float32)
        opaque[10, 5:90], opaque[40:80, 20:60] = 1, 1
        visible = np.where(opaque > 0, np.uint8(line), np.uint8(0))
        visible[40:80, 20:60] = place
        label = label_of(print_, visible, opaque, 0.0)
        return int(label[10, 50]), int(label[60, 40])

    assert labelled(7, 7) == (DAMAGE, UNSURE)
    assert labelled(13, 13) == (DAMAGE, DAMAGE)
    assert labelled(5, 11) == (UNSURE, UNSURE)


def test_labels_say_what_the_file_shows() -> None:
    """Blur, sharpening and JPEG spread damage: the halo and the specks about it count as well."""
    damager = Damager(96, intact=0.0, content=0.0)
    for seed in range(40):
        sample, intact = damager.pair(smooth(120), np.random.default_rng([seed, 1]))
        apart = np.abs(sample.image.astype(int) - intact).max(axis=2)
        damage = (sample.label == DAMAGE).astype(np.uint8)
        assert (apart[damage > 0] > 6).all()
        assert (apart[cv2.erode(damage, np.ones((9, 9))) > 0] > 12).all()
        far = cv2.dilate((sample.label != INTACT).astype(np.uint8), np.ones((35, 35))) == 0
        assert (apart[far] <= 12).all()


def test_bare_paper_has_one_colour_in_a_print() -> None:
    mask = np.ones((4, 4), np.float32)
    light, dark = np.full(3, 240, np.float32), np.full(3, 30, np.float32)
    paper = np.array([230, 220, 190], np.float32)
    rough = np.full((4, 4, 3), 250, np.float32)
    rough[0] -= 8
    flaw = Flaw([(mask, light), (mask, dark), (mask, rough)]).on_paper(paper)
    colours = [colour for _, colour in flaw.layers]
    np.testing.assert_allclose(colours[0], paper)
    np.testing.assert_allclose(colours[1], dark)
    np.testing.assert_allclose(colours[2].mean(axis=(0, 1)), paper, rtol=1e-5)
    np.testing.assert_allclose(colours[2][1] - colours[2][0], 8)  # it stays as rough as it was


def test_a_backdrop_leaves_a_sitter_and_is_plain_elsewhere() -> None:
    for seed in range(10):
        before = noise(128, 128).astype(np.float32)
        picture = before.copy()
        backdrop(picture, np.random.default_rng(seed))
        kept = np.abs(picture - before).max(axis=2) < 1
        assert 0.02 < kept.mean() < 0.95
        edge = np.concatenate([picture[0], picture[:, 0], picture[:, -1]])
        assert (
            np.abs(np.diff(edge, axis=0)).mean() < 0.5 * np.abs(np.diff(before[0], axis=0)).mean()
        )


def test_a_portrait_that_is_cut_out_stands_on_one_even_tone() -> None:
    picture = noise(96, 96).astype(np.float32)
    for seed in range(20):
        cut = cut_out(picture, np.random.default_rng(seed))
        ground = np.abs(cut - cut[0, 0]).max(axis=2) < 0.5
        sitter = np.abs(cut - picture).max(axis=2) < 0.5
        assert ground.mean() > 0.25
        assert sitter.mean() > 0.03
        assert (ground | sitter).mean() > 0.5


def test_artefacts_are_held_out_by_name(artefacts: Path) -> None:
    taken, kept = Artefacts(artefacts), Artefacts(artefacts, held_out=True)
    assert len(taken.files["bars"]) + len(kept.files["bars"]) == 40
    assert not set(taken.files["bars"]) & set(kept.files["bars"])
    assert is_held_out("x/bar-001.png") == is_held_out("elsewhere/bar-001.png")


def test_artefacts_are_laid_over_pictures(artefacts: Path) -> None:
    damager = Damager(96, Artefacts(artefacts))
    assert "film-bars" in damager.kinds
    samples = [
        damager.sample(smooth(120), np.random.default_rng(seed), ["film-bars"]) for seed in range(8)
    ]
    assert sum(bool((s.label == DAMAGE).any()) for s in samples) >= 6


def test_what_is_no_zip_of_artefacts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    for name in ("none.zip", "a.zip", "empty.zip"):
        with pytest.raises(InputError, match="artefacts"):
            Artefacts(tmp_path / name)


# --- pictures in samples, and the paper of prints


@pytest.mark.parametrize("side", [64, 160])
def test_pictures_mostly_fill_the_sample_once(side: int) -> None:
    """Beside its own mirror images this picture has more than one edge."""
    picture = np.zeros((side, side, 3), np.uint8)
    picture[:, side // 4 :] = 220
    damager = Damager(128, intact=1, content=0)
    edges = []
    for seed in range(60):
        row = damager.sample(picture, np.random.default_rng(seed), ()).image.mean(axis=(0, 2))
        light = cv2.blur(row[None], (9, 1))[0] > (row.min() + row.max()) / 2
        edges.append(int((light[1:] != light[:-1]).sum()))
    assert sum(count <= 1 for count in edges) > 30
    assert any(count > 1 for count in edges)


def test_bare_paper_is_often_as_light_as_the_lightest_parts_of_a_print() -> None:
    """But never dark: a print may show nothing that is light."""
    rng = np.random.default_rng(0)

    def levels(lightest: float) -> NDArray[np.float64]:
        print_ = np.full((64, 64, 3), 60, np.float32)
        print_[:20, :20] = lightest
        return np.array([paper_of(print_, rng).mean() for _ in range(400)])

    assert (np.abs(levels(185) - 196) < 20).mean() > 0.55 > (np.abs(levels(100) - 196) < 20).mean()
    assert (levels(245) > 230).mean() > 0.6 > (levels(100) > 230).mean()
    assert levels(100).min() > 150


# --- the loss


def test_unsure_pixels_say_nothing_and_right_answers_cost_little() -> None:
    label = torch.zeros(1, 8, 8, dtype=torch.uint8)
    label[0, 2:4], label[0, 4] = DAMAGE, UNSURE
    right = torch.where(label == DAMAGE, 9.0, -9.0)
    loud = right.clone()
    loud[0, 4] = 9.0
    shown = Shown.of(torch.zeros(1, 3, 8, 8), label)
    for logit in (right, loud):
        entropy, dice = losses(logit, shown)
        assert entropy < 1e-3 and dice < 0.05
    entropy, dice = losses(-right, shown)
    assert entropy > 5 and dice > 0.9


def test_pictures_without_damage_have_no_dice() -> None:
    intact = Shown.of(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8))
    entropy, dice = losses(torch.full((1, 4, 4), -9.0), intact)
    assert entropy < 1e-3 and dice == 0


# --- looks from small to large


def test_shrunk_labels_are_shares_of_what_is_sure() -> None:
    label = torch.zeros(1, 4, 4, dtype=torch.uint8)
    label[0, 0, 0], label[0, 0, 1], label[0, :2, 2:] = DAMAGE, UNSURE, UNSURE
    shown = Shown.of(torch.arange(48.0).reshape(1, 3, 4, 4), label).shrunk(2)
    assert torch.allclose(shown.sure, torch.tensor([[[0.75, 0], [1, 1]]]))
    assert torch.allclose(shown.damage, torch.tensor([[[1 / 3, 0], [0, 0]]]))
    assert shown.image[0, 0, 0, 0] == 2.5  # of 0, 1, 4 and 5


def chain(side: int, seed: int) -> list[tuple[Shown, Tensor | None]]:
    """What a finder is shown and told that takes what is light for damage."""
    random = torch.Generator().manual_seed(seed)
    image = torch.full((4, 3, side, side), -1.0)
    image[:, :, :, side // 2 :] = 1
    label = (image[:, 0] > 0).to(torch.uint8)
    told: list[tuple[Shown, Tensor | None]] = []

    def look(shown: Shown, coarser: Tensor | None) -> Tensor:
        told.append((shown, coarser))
        return 9 * shown.image[:, 0]

    for logit, shown in looks(Shown.of(image, label), look, random):
        assert torch.equal(logit, 9 * shown.image[:, 0])
    return told


@pytest.mark.parametrize("side", [32, 64, 256])
def test_each_look_is_twice_as_near_and_told_what_the_one_before_found(side: int) -> None:
    for seed in range(4):
        (first, before), *others = chain(side, seed)
        assert before is None and first.image.shape[-1] in (32, side // 4, side)
        sides = [shown.image.shape[-1] for shown, _ in others]
        assert side in [first.image.shape[-1], *sides]
        for shown, coarser in others:
            assert coarser is not None and coarser.shape == shown.image[:, :1].shape
            assert shown.damage.shape == shown.sure.shape == shown.image[:, 0].shape
            # a pixel from the edge between dark and light all agree
            known = (coarser.abs() > 0.99) & (shown.image[:, :1].abs() > 0.8)
            assert known.float().mean() > 0.8
            assert torch.equal(coarser[known] > 0, shown.image[:, :1][known] > 0)
            assert torch.equal(coarser[known] > 0, shown.damage[:, None][known] > 0.5)
        counts = [len(shown.image) for shown, _ in others]
        assert counts[-2:] == [2, 1] and set(counts[:-2]) <= {4}


# --- photographs whose damage somebody has marked


def write_labelled(folder: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    """A folder of light photographs with a dark bar, which their masks mark; open on the left."""
    for part in ("photos", "masks"):
        (folder / part).mkdir(parents=True)
    for name in names:
        image = smooth(80)
        image[30:40] = 0
        mask = np.zeros((80, 80), np.uint8)
        mask[30:40], mask[:, :20] = 255, 128
        Image.fromarray(image).save(folder / "photos" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in folder.rglob("*.*") if p.is_file()):
            archive.write(file, str(file.relative_to(folder)))
    return path


def test_labelled_photographs_are_read_from_a_folder_or_a_zip(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "scans")
    for path in (folder, zipped(folder, tmp_path / "scans.zip")):
        one, other = read_labelled(path)
        assert (one.name, other.name) == ("a", "b")
        assert one.image.shape == (80, 80, 3)
        assert (one.label[30:40, 20:] == DAMAGE).all() and (one.label[:, :20] == UNSURE).all()
        assert (one.label[:30, 20:] == INTACT).all() and (one.label[40:, 20:] == INTACT).all()


def test_a_labelled_sample_shows_the_damage_where_its_label_says() -> None:
    label = np.full((90, 120), INTACT, np.uint8)
    label[40:50] = DAMAGE
    label[:, :30] = UNSURE
    image = np.full((90, 120, 3), 200, np.uint8)
    image[40:50] = 0
    photo = LabelledPhoto("bar", image, label)
    seen = set()
    for seed in range(40):
        sample = labelled_sample(photo, 64, np.random.default_rng(seed))
        assert sample.image.shape == (64, 64, 3) and sample.label.shape == (64, 64)
        grey = sample.image.mean(axis=2)
        dark, light = grey[sample.label == DAMAGE], grey[sample.label == INTACT]
        if len(dark) > 100 and len(light) > 100:
            assert dark.mean() < light.mean() - 20
        seen |= set(np.unique(sample.label).tolist())
    assert seen == {DAMAGE, INTACT, UNSURE}


def test_a_thin_line_is_still_damage_where_it_is_shrunk() -> None:
    label = np.full((100, 100), INTACT, np.uint8)
    label[:, 50] = DAMAGE
    photo = LabelledPhoto("line", np.full((100, 100, 3), 90, np.uint8), label)
    for seed in range(20):
        sample = labelled_sample(photo, 64, np.random.default_rng(seed))
        assert (sample.label == DAMAGE).any() == (sample.label != INTACT).any()


def _without_mask(folder: Path) -> None:
    (folder / "masks" / "b.png").unlink()


def _without_photo(folder: Path) -> None:
    (folder / "photos" / "a.png").unlink()


def _of_other_size(folder: Path) -> None:
    Image.new("L", (40, 80)).save(folder / "masks" / "a.png")


def _broken(folder: Path) -> None:
    (folder / "masks" / "a.png").write_bytes(b"no picture")


def _tiny(folder: Path) -> None:
    for part in ("photos", "masks"):
        Image.new("L", (20, 20)).save(folder / part / "a.png")


def _twice(folder: Path) -> None:
    (folder / "photos" / "a.PNG").write_bytes((folder / "photos" / "a.png").read_bytes())


def _elsewhere(folder: Path) -> None:
    (folder / "photos").rename(folder / "pictures")
    (folder / "masks").rename(folder / "drawn")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_mask, "'b' needs both"),
        (_without_photo, "'a' needs both"),
        (_of_other_size, "40×80.*80×80"),
        (_broken, "a.png"),
        (_tiny, "smaller than 32 pixels"),
        (_twice, "two files 'a' in 'photos'"),
        (_elsewhere, "photos"),
    ],
)
def test_labelled_photographs_that_do_not_fit_are_refused(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = write_labelled(tmp_path / "scans")
    spoil(folder)
    for path in (folder, zipped(folder, tmp_path / "scans.zip")):
        with pytest.raises(InputError, match=said):
            read_labelled(path)


# --- runs


def begin(folder: Path, pictures: Path, **settings: object) -> Path:
    usual = {"batch_size": 4, "precision": "fp32", "steps": 4, "save_every": 2, "log_every": 2}
    config = TrainConfig(**{**usual, **settings})  # type: ignore[arg-type]
    run = create_run(folder, [pictures], TINY_FINDER, config)
    train(run, resume=False, devices=Devices("cpu", "1", 1), reporter=Reporter(enabled=False))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, pictures: Path, artefacts: Path) -> Path:
    """A run of four steps; not to be changed."""
    folder = tmp_path_factory.mktemp("finder") / "run"
    return begin(folder, pictures, artefacts=str(artefacts))


def test_a_finder_is_trained_exported_and_loaded(trained: Path, tmp_path: Path) -> None:
    assert np.load(trained / "images-320.npy").shape == (24, 320, 320, 3)
    assert export_run(trained, tmp_path / "found") == 4
    model = load_damage_model(tmp_path / "found", "cpu", "fp32")
    assert model(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape == (1, 32, 64)
    assert "damage" in (tmp_path / "found" / "README.md").read_text()


def test_pictures_are_held_out_by_name(pictures: Path, tmp_path: Path) -> None:
    names = [f"photo-{number:03d}.png" for number in range(30)]
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / "data" / name).write_bytes((pictures / "00.png").read_bytes())
    config = TrainConfig(batch_size=4)
    split = split_data(create_run(tmp_path / "run", [tmp_path / "data"], TINY_FINDER, config))
    held_out = {source.basename for source in split.held_out}
    assert held_out == {name for name in names if is_held_out(name)} and held_out
    assert len(split.train) == 30 - len(held_out)


def test_a_stopped_training_goes_on_bit_for_bit(
    trained: Path, pictures: Path, artefacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    whole = DamageRecipe.step

    def until_third(self: DamageRecipe, real: Tensor, step: object) -> dict[str, Tensor]:
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return whole(self, real, step)  # type: ignore[arg-type]

    monkeypatch.setattr(DamageRecipe, "step", until_third)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", pictures, artefacts=str(artefacts))
    monkeypatch.undo()
    run = read_run(tmp_path / "run")
    train(run, resume=True, devices=Devices("cpu", "1", 1), reporter=Reporter(enabled=False))
    one, other = (load_file(r / "state.safetensors") for r in (trained, tmp_path / "run"))
    assert one.keys() == other.keys()
    assert [key for key, value in one.items() if not torch.equal(value, other[key])] == []


def test_artefacts_that_are_not_there_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="artefacts"):
        begin(tmp_path / "run", pictures, artefacts=str(tmp_path / "none.zip"))


def test_a_finder_learns_from_labelled_photographs(pictures: Path, tmp_path: Path) -> None:
    scans = write_labelled(tmp_path / "scans")
    recipe = DamageRecipe(
        TINY_FINDER, TrainConfig(batch_size=4, labelled=str(scans)), torch.device("cpu")
    )
    images = np.stack([smooth(320)] * 40)
    samples = recipe._samples(images, np.random.default_rng(0))
    shown = [sample.kinds for sample in samples if sample.kinds in (("a",), ("b",))]
    assert 3 <= len(shown) <= 20 and {("a",), ("b",)} <= set(shown)
    begin(tmp_path / "run", pictures, labelled=str(scans))
    assert read_run(tmp_path / "run").train.labelled == str(scans)
