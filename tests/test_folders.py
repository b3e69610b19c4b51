from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from aleph import __version__
from aleph.errors import InputError, OutputError
from aleph.files import working_alone
from aleph.folders import FolderOutcome, inpaint_folder
from aleph.inpainter import Inpainter
from aleph.manifest import Entry, Manifest
from aleph.masks.read import Mask
from conftest import RunCli
from helpers import files_below, noise, some_hole, write_mask

HOLE = some_hole(20, 20)
Form = Literal["NFC", "NFD"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos of three formats, one of them in a folder, and a mask for each."""
    for name, number in (("a.png", 1), ("b.jpg", 2), ("c/d.tif", 3)):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(20, 20, number)).save(path)
        mask = tmp_path / "masks" / Path(name).with_suffix(".png")
        mask.parent.mkdir(parents=True, exist_ok=True)
        write_mask(HOLE if number != 2 else HOLE.T, mask)
    (tmp_path / "photos" / "notes.txt").write_text("not a photo")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def fill(folder: Path, tiny: Inpainter, mask: object = None, **options: object) -> FolderOutcome:
    options = {"steps": 2, **options}
    used = mask if isinstance(mask, Mask) else Mask(mask or folder / "masks")  # type: ignore[arg-type]
    return inpaint_folder(folder / "photos", used, folder / "out", tiny, **options)  # type: ignore[arg-type]


NAMES = ["a.png", "b.jpg", "c/d.tif"]


def test_every_photo_is_filled_as_if_it_were_alone(folder: Path, tiny: Inpainter) -> None:
    before = contents(folder / "photos")
    outcome = fill(folder, tiny)
    assert outcome == FolderOutcome(filled=NAMES)
    assert files_below(folder / "out") == set(NAMES)
    for name in NAMES:
        mask = (folder / "masks" / name).with_suffix(".png")
        alone = tiny(folder / "photos" / name, mask, steps=2)
        expected = alone.encode(Path(name).suffix)
        with Image.open(folder / "out" / name) as one:
            result = np.array(one)
        alone.save(folder / f"alone{Path(name).suffix}")
        with Image.open(folder / f"alone{Path(name).suffix}") as one:
            assert np.array_equal(result, np.array(one))
        assert expected == (folder / f"alone{Path(name).suffix}").read_bytes()
    assert contents(folder / "photos") == before


def test_one_mask_serves_all(folder: Path, tiny: Inpainter) -> None:
    outcome = fill(folder, tiny, folder / "masks" / "a.png")
    assert outcome.filled == NAMES
    known = ~HOLE
    with Image.open(folder / "out" / "c" / "d.tif") as picture:
        assert np.array_equal(np.array(picture)[known], noise(20, 20, 3)[known])


def test_every_photo_can_hold_its_own_mask(folder: Path, tiny: Inpainter) -> None:
    shutil.rmtree(folder / "photos")
    (folder / "photos").mkdir()
    for number in (1, 2):
        picture = Image.fromarray(noise(20, 20, number))
        picture.putalpha(Image.fromarray(np.where(HOLE, 0, 255).astype(np.uint8)))
        picture.save(folder / "photos" / f"{number}.png")
    Image.fromarray(noise(20, 20)).save(folder / "photos" / "3.png")
    outcome = fill(folder, tiny, "alpha")
    assert outcome.filled == ["1.png", "2.png"]
    assert list(outcome.failed) == ["3.png"]
    with Image.open(folder / "out" / "2.png") as picture:
        assert picture.mode == "RGBA"
        assert (np.array(picture)[:, :, 3] == 255).all()


def test_what_is_done_is_not_done_again(folder: Path, tiny: Inpainter) -> None:
    fill(folder, tiny)
    (folder / "out" / "b.jpg").unlink()
    (folder / "out" / "a.png").write_bytes(b"somebody's own")
    outcome = fill(folder, tiny)
    assert outcome == FolderOutcome(filled=["b.jpg"], skipped=["a.png", "c/d.tif"])
    assert (folder / "out" / "a.png").read_bytes() == b"somebody's own"


def test_what_cannot_be_filled_is_named_and_keeps_nothing_else_back(
    folder: Path, tiny: Inpainter
) -> None:
    photos, masks = folder / "photos", folder / "masks"
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:200])
    shutil.copy(photos / "a.png", photos / "alone.png")
    shutil.copy(photos / "a.png", photos / "twice.png")
    shutil.copy(masks / "a.png", masks / "broken.png")
    shutil.copy(masks / "a.png", masks / "twice.png")
    Image.open(masks / "a.png").save(masks / "twice.bmp")
    write_mask(np.zeros((20, 20), bool), masks / "empty.png")
    shutil.copy(photos / "a.png", photos / "empty.png")
    outcome = fill(folder, tiny)
    assert outcome.filled == NAMES
    assert set(outcome.failed) == {"alone.png", "broken.png", "empty.png", "twice.png"}
    assert "no mask" in outcome.failed["alone.png"]
    assert "damaged" in outcome.failed["broken.png"]
    assert "nothing to fill" in outcome.failed["empty.png"]
    assert "two masks" in outcome.failed["twice.png"]
    assert files_below(folder / "out") == set(NAMES)


def test_one_that_the_search_refuses_does_not_spoil_its_group(
    folder: Path, tiny: Inpainter
) -> None:
    tall = np.zeros((160, 160), bool)
    tall[1:] = tall[:, 1:] = True
    Image.fromarray(noise(160, 160)).save(folder / "photos" / "z.png")
    write_mask(tall, folder / "masks" / "z.png")
    outcome = fill(folder, tiny)
    assert outcome.filled == NAMES
    assert "too little" in outcome.failed["z.png"]
    assert "--invert-mask" in outcome.warned["z.png"]


def test_further_candidates_lie_beside_the_best(folder: Path, tiny: Inpainter) -> None:
    fill(folder, tiny, candidates=2)
    assert {"a.png", "a-2.png", "c/d.tif", "c/d-2.tif"} <= files_below(folder / "out")
    assert fill(folder, tiny, candidates=2).skipped == NAMES


def test_progress_goes_from_nothing_to_all(folder: Path, tiny: Inpainter) -> None:
    told: list[tuple[float, int]] = []
    fill(folder, tiny, on_progress=lambda done, total: told.append((done, total)))
    done = [number for number, _ in told]
    assert done == sorted(done)
    assert told[-1] == (3, 3)
    assert 0 < done[1] < 3


def test_a_run_that_is_stopped_keeps_what_was_written(folder: Path, tiny: Inpainter) -> None:
    for number in range(20):
        Image.fromarray(noise(20, 20, number)).save(folder / "photos" / f"n{number:02d}.png")

    def stop(done: float, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(folder, tiny, folder / "masks" / "a.png", on_progress=stop)
    assert len(files_below(folder / "out")) == 16
    outcome = fill(folder, tiny, folder / "masks" / "a.png")
    assert (len(outcome.skipped), len(outcome.filled)) == (16, 7)


def test_each_photo_is_written_as_soon_as_it_is_filled(
    folder: Path, tiny: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose, there = Inpainter._compose, []

    def composed(self: Inpainter, job: Any, *rest: Any) -> Any:  # noqa: ANN401
        there.append(files_below(folder / "out"))
        return compose(self, job, *rest)

    monkeypatch.setattr(Inpainter, "_compose", composed)
    fill(folder, tiny)
    assert there == [set(), {"a.png"}, {"a.png", "b.jpg"}]


@pytest.mark.parametrize("change", ["mask", "photo", "seed", "steps", "grow"])
def test_a_photo_is_filled_anew_when_what_it_was_made_of_has_changed(
    change: str, folder: Path, tiny: Inpainter
) -> None:
    fill(folder, tiny)
    before = contents(folder / "out")
    mask, options = Mask(folder / "masks"), {}
    if change == "mask":
        write_mask(HOLE.T, folder / "masks" / "a.png")
    elif change == "photo":
        Image.fromarray(noise(20, 20, 9)).save(folder / "photos" / "a.png")
    elif change == "grow":
        mask = Mask(folder / "masks", grow=2)
    else:
        options = {"seed": {"seed": 5}, "steps": {"steps": 3}}[change]
    outcome = fill(folder, tiny, mask, **options)
    assert outcome.filled == (["a.png"] if change in ("mask", "photo") else NAMES)
    assert (folder / "out" / "a.png").read_bytes() != before["a.png"]
    assert fill(folder, tiny, mask, **options).skipped == NAMES


def test_another_model_fills_anew(folder: Path, tiny: Inpainter, each_kind: Inpainter) -> None:
    fill(folder, tiny)
    same = each_kind.model.config.kind == tiny.model.config.kind
    assert fill(folder, each_kind).filled == ([] if same else NAMES)


def test_a_result_that_somebody_has_changed_is_kept_with_a_word(
    folder: Path, tiny: Inpainter
) -> None:
    fill(folder, tiny)
    (folder / "out" / "a.png").write_bytes(b"retouched by hand")
    outcome = fill(folder, tiny, seed=3)
    assert (outcome.filled, outcome.skipped) == (["b.jpg", "c/d.tif"], ["a.png"])
    assert "was changed since it was made, so it is kept" in outcome.warned["a.png"]
    assert (folder / "out" / "a.png").read_bytes() == b"retouched by hand"


def test_a_result_of_unknown_making_is_kept(folder: Path, tiny: Inpainter) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "a.png").write_bytes(b"made by another program")
    assert fill(folder, tiny).skipped == ["a.png"]


def test_the_manifest_says_what_became_of_each_photo(folder: Path, tiny: Inpainter) -> None:
    (folder / "photos" / "broken.png").write_bytes(b"broken")
    shutil.copy(folder / "masks" / "a.png", folder / "masks" / "broken.png")
    fill(folder, tiny, candidates=2, seed=4)
    path = folder / "out.manifest.jsonl"  # the folder of the results holds results only
    lines = {line["photo"]: line for line in map(json.loads, path.read_text().splitlines())}
    assert list(lines) == ["broken.png", *NAMES] or set(lines) == {"broken.png", *NAMES}
    assert lines["broken.png"]["state"] == "failed"
    assert "not a picture" in lines["broken.png"]["said"][0]
    entry = lines["c/d.tif"]
    assert entry["state"] == "done"
    assert entry["facts"]["version"] == __version__
    assert entry["facts"]["seed"] == 4
    assert entry["facts"]["settings"]["search"]["steps"] == 2
    for name in ("c/d.tif", "c/d-2.tif"):
        data = (folder / "out" / name).read_bytes()
        assert entry["files"][name]["sha256"] == hashlib.sha256(data).hexdigest()
    mask = (folder / "masks" / "c" / "d.png").read_bytes()
    assert entry["made_of"]["mask"]["sha256"] == hashlib.sha256(mask).hexdigest()


def test_a_photo_that_failed_once_is_filled_anew_when_it_can_be(
    folder: Path, tiny: Inpainter
) -> None:
    fill(folder, tiny)
    before = (folder / "out" / "a.png").read_bytes()
    write_mask(np.zeros((20, 20), bool), folder / "masks" / "a.png")
    assert list(fill(folder, tiny).failed) == ["a.png"]
    assert (folder / "out" / "a.png").read_bytes() == before
    write_mask(HOLE.T, folder / "masks" / "a.png")
    assert fill(folder, tiny).filled == ["a.png"]
    assert (folder / "out" / "a.png").read_bytes() != before


def test_a_run_that_was_killed_while_it_wrote_does_not_take_its_result_for_somebody_elses(
    folder: Path, tiny: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, tiny)
    write = Manifest.add

    def killed(self: Manifest, entry: Entry) -> None:
        if entry.state == "done":
            raise KeyboardInterrupt
        write(self, entry)

    monkeypatch.setattr(Manifest, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        fill(folder, tiny, seed=5)  # a.png is written, but the manifest does not say so
    monkeypatch.undo()
    assert fill(folder, tiny, seed=5).filled == NAMES
    assert fill(folder, tiny, seed=6).filled == NAMES


def test_half_a_line_of_a_killed_run_is_passed_over(folder: Path, tiny: Inpainter) -> None:
    fill(folder, tiny)
    path = folder / "out.manifest.jsonl"
    path.write_text(path.read_text()[:-40])
    before = (folder / "out" / "c" / "d.tif").read_bytes()
    assert fill(folder, tiny).filled == ["c/d.tif"]
    assert (folder / "out" / "c" / "d.tif").read_bytes() == before
    write_mask(HOLE.T, folder / "masks" / "c" / "d.png")
    assert fill(folder, tiny).filled == ["c/d.tif"]


@pytest.mark.parametrize(("photo", "mask"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_alike_are_alike(
    photo: Form, mask: Form, folder: Path, tiny: Inpainter
) -> None:
    for kind, name in (("photos", "a.png"), ("masks", "a.png")):
        form = photo if kind == "photos" else mask
        new = unicodedata.normalize(form, "Großmutter Zoë Müller é.png")
        (folder / kind / name).rename(folder / kind / new)
    outcome = fill(folder, tiny)
    assert len(outcome.filled) == 3
    assert not outcome.failed


def test_photos_whose_names_look_alike_take_each_its_own_mask(
    folder: Path, tiny: Inpainter
) -> None:
    forms: tuple[Form, Form] = ("NFC", "NFD")
    names = [unicodedata.normalize(form, "Müller.png") for form in forms]
    for number, name in enumerate(names):
        Image.fromarray(noise(20, 20, number)).save(folder / "photos" / name)
        write_mask(HOLE if number else HOLE.T, folder / "masks" / name)
    if len(files_below(folder / "photos")) != 6:
        pytest.skip("this file system holds one form only")
    outcome = fill(folder, tiny)
    assert set(names) <= set(outcome.filled)
    for number, name in enumerate(names):
        known = ~(HOLE if number else HOLE.T)
        with Image.open(folder / "out" / name) as picture:
            assert np.array_equal(np.array(picture)[known], noise(20, 20, number)[known])


def test_names_as_long_as_they_may_be_are_written(folder: Path, tiny: Inpainter) -> None:
    long = "n" * 246 + ".png"
    (folder / "photos" / "a.png").rename(folder / "photos" / long)
    (folder / "masks" / "a.png").rename(folder / "masks" / long)
    assert long in fill(folder, tiny).filled
    outcome = fill(folder, tiny, candidates=2, seed=1)
    assert long in outcome.filled
    (folder / "photos" / long).rename(folder / "photos" / ("n" * 251 + ".png"))
    (folder / "masks" / long).rename(folder / "masks" / ("n" * 251 + ".png"))
    assert "too long" in fill(folder, tiny, candidates=2).failed["n" * 251 + ".png"]


def test_raw_files_of_cameras_are_left_alone_with_one_word(folder: Path, tiny: Inpainter) -> None:
    for number in range(3):
        (folder / "photos" / f"{number}.CR2").write_bytes(b"II*\0raw")
    outcome = fill(folder, tiny)
    assert outcome.filled == NAMES
    assert list(outcome.warned) == ["0.CR2"]
    assert "3 raw files are left alone" in outcome.warned["0.CR2"]


def test_pages_that_are_not_read_are_said(folder: Path, tiny: Inpainter) -> None:
    pages = [Image.fromarray(noise(20, 20, number)) for number in (3, 4)]
    pages[0].save(folder / "photos" / "c" / "d.tif", save_all=True, append_images=pages[1:])
    outcome = fill(folder, tiny)
    assert outcome.filled == NAMES
    assert outcome.warned["c/d.tif"].startswith("it has 2 pages: only the first is taken")


@pytest.mark.parametrize("out", ["photos", "photos/out", "masks", "."])
def test_results_never_go_among_the_inputs(out: str, folder: Path, tiny: Inpainter) -> None:
    if out == ".":  # where a photo's result would fall back among the photos
        shutil.copytree(folder / "photos" / "c", folder / "photos" / "photos")
    before = contents(folder)
    with pytest.raises(OutputError, match="results cannot go into"):
        inpaint_folder(folder / "photos", Mask(folder / "masks"), folder / out, tiny)
    assert contents(folder) == before


def test_wrong_options_are_refused_before_anything_is_read(folder: Path, tiny: Inpainter) -> None:
    with pytest.raises(InputError, match="unknown preset"):
        fill(folder, tiny, preset="quick")
    (folder / "nothing").mkdir()
    with pytest.raises(InputError, match="no picture"):
        inpaint_folder(folder / "nothing", Mask("center"), folder / "out", tiny)


def test_the_command_fills_a_folder_and_says_what_it_could_not(
    folder: Path, run_cli: RunCli
) -> None:
    (folder / "photos" / "broken.jpg").write_text("this is text")
    shutil.copy(folder / "masks" / "a.png", folder / "masks" / "broken.png")
    words = ("inpaint", "photos", "-m", "masks", "-o", "out", "--preset", "fast")
    words += ("--model", "faces-64", "--frame", "whole")
    outcome = run_cli(*words)
    assert outcome.code == 1
    assert outcome.out == "filled 3, skipped 0 that were done already, failed 1\n"
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("aleph: broken.jpg: ")
    assert "not a picture" in outcome.err
    with Image.open(folder / "out" / "a.png") as picture:
        assert np.array_equal(np.array(picture)[~HOLE], noise(20, 20, 1)[~HOLE])
    again = run_cli(*words, "--json")
    report = json.loads(again.out)
    assert (again.code, report["filled"], report["skipped"]) == (1, [], NAMES)


def test_the_command_takes_masks_as_people_have_them(
    tmp_path: Path, tiny_folder: Path, call_cli: RunCli
) -> None:
    model = ("--model", tiny_folder, "--steps", "1", "-q")
    pixels = noise(20, 20) // 2
    pixels[HOLE] = (255, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "painted.png")
    write_mask(~HOLE, tmp_path / "inverted.png")
    options = {
        "painted": ("--mask-color", "#ff00ff", "--tolerance", "5"),
        "inverted": ("-m", "inverted.png", "--invert-mask"),
    }
    results = []
    for name, words in options.items():
        outcome = call_cli("inpaint", "painted.png", *words, "-o", f"{name}-out.png", *model)
        assert outcome.code == 0, outcome
        results.append((tmp_path / f"{name}-out.png").read_bytes())
    assert results[0] == results[1]
    with Image.open(tmp_path / "painted-out.png") as picture:
        assert np.array_equal(np.array(picture)[~HOLE], pixels[~HOLE])


def test_a_mask_that_looks_inverted_is_remarked_upon_in_one_line(
    tmp_path: Path, tiny_folder: Path, run_cli: RunCli
) -> None:
    Image.fromarray(noise(20, 20)).save(tmp_path / "a.png")
    hole = np.ones((20, 20), bool)
    hole[0] = False
    write_mask(hole, tmp_path / "mask.png")
    words = ("inpaint", "a.png", "-m", "mask.png", "-o", "b.png", "--steps", "1", "-q")
    outcome = run_cli(*words, "--model", tiny_folder)
    assert outcome.code == 0
    assert outcome.err.startswith("aleph: warning: 95%")
    assert outcome.err.count("\n") == 1


def test_two_processes_do_not_fill_into_one_folder(folder: Path, tiny: Inpainter) -> None:
    (folder / "out").mkdir()
    with working_alone(folder / "out"), pytest.raises(OutputError, match="another aleph"):
        fill(folder, tiny)
    assert files_below(folder / "out") == set()
    assert fill(folder, tiny).filled == NAMES
