from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from aleph import __version__, files
from aleph.cli.options import field_help
from aleph.errors import InputError
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.models.config import ModelConfig
from aleph.photo.pixels import read_image
from aleph.search.config import SearchConfig
from aleph.training.config import TrainConfig
from aleph.training.state import read_meta
from conftest import RunCli
from helpers import (
    SHIPPED,
    TINY_TRAINING,
    Outcome,
    files_below,
    noise,
    some_hole,
    write_mask,
    write_plain_pictures,
)

NAMED = ["center", "half", "random", "pattern", "strokes"]


@pytest.fixture
def scene(tmp_path: Path, tiny_folder: Path) -> Path:
    """A folder with a picture, masks and a model, where the command line runs."""
    Image.fromarray(noise(20, 20)).save(tmp_path / "image.png")
    write_mask(some_hole(20, 20), tmp_path / "mask.png")
    shutil.copytree(tiny_folder, tmp_path / "model")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def assert_refused(outcome: Outcome, says: str) -> None:
    """Exit code 2 and one sentence, on standard error."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err[:-1].isprintable()
    assert outcome.err.startswith("aleph: ")
    assert says in outcome.err


# --- inpaint ----------------------------------------------------------------------------------


def test_inpaint_fills_the_hole_of_a_picture(run_cli: RunCli, scene: Path) -> None:
    outcome = run_cli(
        *("inpaint", "image.png", "--mask", "mask.png", "-o", "filled.png", "--model", "model"),
        *("--steps", "20", "--seed", "3", "--figure", "figure.png", "--animate", "search.gif"),
        *("--json", "--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err
    assert "Warning" not in outcome.err
    report = json.loads(outcome.out)
    assert report["files"] == ["filled.png", "figure.png", "search.gif"]
    assert report["steps"] == 20
    filled = read_image(scene / "filled.png")
    hole = some_hole(20, 20)
    assert np.array_equal(filled[~hole], noise(20, 20)[~hole])

    # The same call of the API in another process gives the same pixels.
    inpainter = Inpainter.from_pretrained(scene / "model", device="cpu")
    result = inpainter(scene / "image.png", scene / "mask.png", steps=20, seed=3)
    assert np.array_equal(filled, result.image)
    assert report["candidates"] == result.report()["candidates"]

    with Image.open(scene / "search.gif") as animation:
        assert animation.n_frames >= 3
    with Image.open(scene / "figure.png") as figure:
        assert figure.width > 4 * 20


@pytest.mark.parametrize("name", NAMED)
def test_inpaint_takes_the_name_of_a_mask_and_the_seed_decides_it(
    name: str, call_cli: RunCli, scene: Path
) -> None:
    options = ("-o", "filled.png", "--model", "model", "--steps", "1", "--seed", "5", "--json")
    outcome = call_cli("inpaint", "image.png", "--mask", name, *options)
    assert outcome.code == 0, outcome.err
    hole = named_hole(name, (20, 20), 5)
    assert json.loads(outcome.out)["missing_pixels"] == hole.sum()
    filled = read_image(scene / "filled.png")
    assert np.array_equal(filled[~hole], noise(20, 20)[~hole])
    assert not np.array_equal(filled[hole], noise(20, 20)[hole])


def test_every_option_of_inpaint_reaches_the_search(call_cli: RunCli, scene: Path) -> None:
    outcome = call_cli(
        *("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", "model", "--json"),
        *("--preset", "yeh2017", "--weighting", "inverse", "--norm", "l2", "--lambda", "0.5"),
        *("--steps", "3", "--starts", "2", "--blending", "paste", "--seed", "7"),
        *("--precision", "bf16", "--device", "cpu", "--frame", "whole"),
    )
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    search = report["settings"]["search"]
    assert (search["weighting"], search["norm"], search["prior_weight"]) == ("inverse", "l2", 0.5)
    assert (search["steps"], search["starts"]) == (3, 2)
    assert report["settings"]["blending"] == "paste"
    assert (report["preset"], report["seed"]) == ("yeh2017", 7)


def test_further_candidates_get_numbered_names(call_cli: RunCli, scene: Path) -> None:
    options = ("--model", "model", "--steps", "2", "--candidates", "3", "--json", "-q")
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", *options)
    report = json.loads(outcome.out)
    assert report["files"] == ["a.png", "a-2.png", "a-3.png"]
    assert len({(scene / name).read_bytes() for name in report["files"]}) == 3
    totals = [candidate["losses"]["total"] for candidate in report["candidates"]]
    assert totals == sorted(totals)


def test_quiet_says_nothing_at_all(call_cli: RunCli, scene: Path) -> None:
    options = ("--model", "model", "--steps", "2", "-q")
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", *options)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert (scene / "a.png").exists()


def test_without_json_the_files_are_named(call_cli: RunCli, scene: Path) -> None:
    options = ("--model", "model", "--steps", "2", "--figure", "f.png")
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", *options)
    assert outcome.code == 0
    assert "a.png" in outcome.out
    assert "f.png" in outcome.out


def test_an_older_result_is_replaced_and_the_inputs_are_left_alone(
    call_cli: RunCli, scene: Path
) -> None:
    (scene / "a.png").write_text("an older result")
    before = contents(scene)
    call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", "model", "-q")
    after = contents(scene)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"a.png"}


BAD_INPAINT: dict[str, tuple[tuple[str, ...], str]] = {
    "missing image": (("nowhere.png",), "image 'nowhere.png' does not exist"),
    "folder without pictures": (("model",), "no picture in the folder 'model'"),
    "corrupt image": (("text.png",), "'text.png' is not a picture"),
    "truncated image": (("cut.png",), "'cut.png' is damaged"),
    "not square": (
        ("wide.png", "-m", "center", "--frame", "whole"),
        "30×20 pixels, and only a square",
    ),
    "eyes that are one": (("--eyes", "5,5,5,5"), "two different points"),
    "eyes without numbers": (("--eyes", "left,right"), "eyes are x1,y1,x2,y2, four numbers"),
    "three numbers for eyes": (("--eyes", "1,2,3"), "eyes are x1,y1,x2,y2, four numbers"),
    "frame of no size": (("--frame", "5,5,5,9"), "left < right and top < bottom"),
    "unknown frame": (("--frame", "wohle"), "a frame is 'auto', 'face', 'whole' or left,top"),
    "missing mask": (("-m", "no/mask.png"), "mask 'no/mask.png' does not exist"),
    "corrupt mask": (("-m", "text.png"), "mask 'text.png' is not a picture"),
    "truncated mask": (("-m", "cut.png"), "mask 'cut.png' is damaged"),
    "sizes that differ": (("-m", "small.png"), "the mask is 10×16 pixels but the image 20×20"),
    "empty hole": (("-m", "black.png"), "nothing to fill"),
    "nothing known": (("-m", "white.png"), "nothing to go by"),
    "unknown mask": (("-m", "centre"), "did you mean 'center'"),
    "unknown preset": (("--preset", "balance"), "did you mean 'balanced'"),
    "unknown weighting": (("--weighting", "inverse_square"), "did you mean 'inverse-square'"),
    "unknown norm": (("--norm", "L1"), "did you mean 'l1'"),
    "unknown blending": (("--blending", "poison"), "did you mean 'poisson'"),
    "unknown precision": (("--precision", "bfloat16"), "did you mean 'bf16'"),
    "unknown device": (("--device", "gpu"), "device 'gpu'"),
    "unknown model": (("--model", SHIPPED[:-1]), f"did you mean '{SHIPPED}'"),
    "negative steps": (("--steps", "-1"), "steps"),
    "lambda that is no number": (("--lambda", "nan"), "prior_weight"),
    "negative lambda": (("--lambda", "-1"), "prior_weight"),
    "no starts": (("--starts", "0"), "starts"),
    "no candidates": (("--candidates", "0"), "candidates"),
    "negative seed": (("--seed", "-1"), "seed"),
    "missing folder": (("-o", "no/out.png"), "the folder 'no' does not exist"),
    "folder for an output": (("-o", "folder.png"), "is a folder"),
    "unknown format": (("-o", "out.xyz"), "'.xyz'"),
    "no format": (("-o", "out"), "no picture format"),
    "format without colours": (("-o", "out.xbm"), "out.xbm"),
    "absurdly long name": (("-o", "n" * 300 + ".png"), "cannot write"),
    "unwritable figure": (("--figure", "no/f.png"), "the folder 'no' does not exist"),
    "format of a figure": (("--figure", "f.gifff"), "'.gifff'"),
    "unwritable animation": (("--animate", "no/a.gif"), "the folder 'no' does not exist"),
    "format of an animation": (("--animate", "a.avi"), ".gif, .webp, .mp4"),
    "file for a model": (("--model", "image.png"), "a model is a folder"),
    "folder that is no model": (("--model", "folder.png"), "no model folder"),
}


@pytest.mark.parametrize("case", BAD_INPAINT)
def test_bad_input_gets_one_sentence_and_code_2_and_nothing_is_written(
    case: str, call_cli: RunCli, scene: Path
) -> None:
    wrong, says = BAD_INPAINT[case]
    (scene / "text.png").write_text("this is text")
    whole = (scene / "image.png").read_bytes()
    (scene / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(noise(20, 30)).save(scene / "wide.png")
    Image.new("L", (10, 16), 255).save(scene / "small.png")
    Image.new("L", (20, 20), 0).save(scene / "black.png")
    Image.new("L", (20, 20), 255).save(scene / "white.png")
    (scene / "folder.png").mkdir()
    before = contents(scene)

    image, options = ("image.png", wrong) if wrong[0].startswith("-") else (wrong[0], wrong[1:])
    usual = {"-m": "mask.png", "-o": "out.png", "--model": "model", "--steps": "1"}
    usual |= dict(zip(options[::2], options[1::2], strict=True))
    outcome = call_cli("inpaint", image, *(word for pair in usual.items() for word in pair))

    assert_refused(outcome, says)
    assert contents(scene) == before


@pytest.mark.parametrize("how", ["truncated", "another version", "hostile", "pickled", "unfitting"])
def test_a_bad_model_folder_gets_one_sentence_and_code_2(
    how: str, call_cli: RunCli, scene: Path
) -> None:
    config, weights = scene / "model" / "config.json", scene / "model" / "model.safetensors"
    values = json.loads(config.read_text())
    says = "model"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-500])
        says = "damaged"
    elif how == "another version":
        config.write_text(json.dumps({**values, "format": 99}))
        says = "model format 99"
    elif how == "hostile":
        values["model"] |= {"resolution": 10**12, "evil\nline\x1b[2J": "'; rm -rf"}
        config.write_text(json.dumps(values))
    elif how == "pickled":
        weights.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.")
        says = "not a safetensors file"
    else:
        tensors = {key: value.clone() for key, value in load_file(weights).items()}
        weights.unlink()
        save_file({f"{key}_": value for key, value in tensors.items()}, weights)
        says = "does not fit its config.json"
    before = contents(scene)
    outcome = call_cli("inpaint", "image.png", "-m", "center", "-o", "a.png", "--model", "model")
    assert_refused(outcome, says)
    assert contents(scene) == before


def test_the_refusal_of_a_process_of_its_own_is_as_short(run_cli: RunCli, scene: Path) -> None:
    whole = (scene / "image.png").read_bytes()
    (scene / "image.png").write_bytes(whole[: len(whole) // 2])
    before = contents(scene)
    outcome = run_cli("inpaint", "image.png", "-m", "center", "-o", "a.png", "--model", "model")
    assert_refused(outcome, "'image.png' is damaged")
    assert contents(scene) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("inpaint",),
        ("inpaint", "image.png", "-o", "a.png"),
        ("inpaint", "image.png", "-m", "center", "-o", "a.png", "--steps", "many"),
        ("inpaint", "image.png", "-m", "center", "-o", "a.png", "--no-such-option"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_code_2_without_a_traceback(
    arguments: tuple[str, ...], call_cli: RunCli, scene: Path
) -> None:
    before = contents(scene)
    outcome = call_cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert "Error" in outcome.err
    assert contents(scene) == before


# --- models, version, demo --------------------------------------------------------------------


def test_the_version_is_shown(call_cli: RunCli) -> None:
    assert call_cli("--version").out == f"aleph {__version__}\n"


def test_models_lists_what_is_there(
    call_cli: RunCli, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene / "models").mkdir()
    (scene / "model").rename(scene / "models" / "mine")
    monkeypatch.setenv("ALEPH_MODELS", str(scene / "models"))
    outcome = call_cli("models")
    assert outcome.code == 0
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("mine")]
    assert "dcgan" in line
    assert "16×16" in line
    facts = json.loads(call_cli("models", "--json").out)
    assert facts["mine"]["latent_dim"] == 8
    assert call_cli("models", "mine").out == "# tiny\n\nRandom weights.\n\n"
    assert json.loads(call_cli("models", "mine", "--json").out) == facts["mine"]


def test_the_shipped_model_is_listed_and_its_card_shown(call_cli: RunCli) -> None:
    outcome = call_cli("models")
    assert any(line.startswith(SHIPPED) for line in outcome.out.splitlines())
    assert call_cli("models", SHIPPED).out.startswith(f"# {SHIPPED}\n")


def test_an_unknown_model_offers_the_nearest_name(call_cli: RunCli) -> None:
    assert_refused(call_cli("models", "faces-dcgan-46"), f"did you mean '{SHIPPED}'")


def test_the_demonstration_writes_its_pictures_and_names_them(
    call_cli: RunCli, scene: Path
) -> None:
    names = {"original.png", "damaged.png", "mask.png", "filled.png", "figure.png", "search.gif"}
    (scene / "demo").mkdir()
    for name in names:  # of a demonstration before
        (scene / "demo" / name).write_bytes(b"old")
    outcome = call_cli("demo", "--out", "demo", "--model", "model", "--seed", "1")
    assert outcome.code == 0, outcome.err
    assert names <= files_below(scene / "demo")
    assert all(name in outcome.out for name in names)
    assert " s with model" in outcome.out  # how long the search took
    before, damaged, filled, mask = (
        read_image(scene / "demo" / f"{name}.png").astype(int)
        for name in ("original", "damaged", "filled", "mask")
    )
    hole = mask[:, :, 0] > 0
    assert before.shape == (512, 512, 3)
    assert np.array_equal(filled[~hole], damaged[~hole])
    cracked = np.abs(damaged - before).max(axis=2) > 40
    assert hole[cracked].mean() > 0.7  # most of the damage was found
    assert np.abs(filled - before)[cracked].mean() < 0.5 * np.abs(damaged - before)[cracked].mean()
    assert b"old" not in contents(scene / "demo").values()


def test_a_demonstration_that_cannot_be_written_is_refused(call_cli: RunCli, scene: Path) -> None:
    (scene / "file").write_text("x")
    outcome = call_cli("demo", "--out", "file", "--model", "model")
    assert_refused(outcome, "'file'")


# --- train, export ----------------------------------------------------------------------------


def test_a_killed_training_is_resumed_exported_and_used(
    call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    command = ("train", str(pictures), "--out", "run", *TINY_TRAINING, "--save-every", "2")
    with (tmp_path / "stderr.txt").open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "aleph", *command, "--steps", "1000000"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            end = time.monotonic() + 120
            while not (tmp_path / "run" / "state.safetensors").exists():
                assert child.poll() is None, (tmp_path / "stderr.txt").read_text()
                assert time.monotonic() < end, "no state was saved for two minutes"
                time.sleep(0.02)
        finally:
            child.kill()
            child.wait()

    refused = call_cli(*command, "--steps", "1000000")
    assert_refused(refused, "already holds a run: add --resume")
    steps = read_meta(tmp_path / "run" / "state.safetensors")["step"] + 2
    resumed = call_cli("train", "--resume", "--out", "run", "--steps", str(steps))
    assert resumed.code == 0, resumed.err
    assert f"finished at step {steps}" in resumed.out
    assert "aleph export run" in resumed.out

    exported = call_cli("export", "run", "-o", "mine")
    assert exported.code == 0, exported.err
    assert (tmp_path / "mine" / "README.md").read_text().startswith("# mine\n")
    Image.fromarray(noise(16, 16)).save(tmp_path / "image.png")
    options = ("--model", "mine", "--steps", "2", "-q")
    assert call_cli("inpaint", "image.png", "-m", "half", "-o", "a.png", *options).code == 0
    filled, hole = read_image(tmp_path / "a.png"), named_hole("half", (16, 16), 0)
    assert np.array_equal(filled[~hole], noise(16, 16)[~hole])


def test_a_dry_run_shows_every_setting_and_writes_nothing(
    call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    options = (*TINY_TRAINING, "--steps", "77", "--no-flip", "--holdout", "3", "--dry-run")
    outcome = call_cli("train", pictures, "--out", "run", *options)
    assert outcome.code == 0, outcome.err
    shown = json.loads(outcome.out)
    assert shown["data"] == [str(pictures)]
    assert shown["model"]["resolution"] == 16
    train = shown["train"]
    assert (train["steps"], train["flip"], train["holdout"]) == (77, False, 3)
    assert train["precision"] == "fp32"
    assert files_below(tmp_path) == set()


@pytest.mark.parametrize("config", [TrainConfig, ModelConfig, SearchConfig])
def test_every_field_of_a_configuration_says_what_its_option_is(config: type) -> None:
    helps = field_help(config)
    assert list(helps) == [field.name for field in dataclasses.fields(config)]
    assert all(text.endswith(".") for text in helps.values())


def test_every_field_of_the_configurations_is_an_option_of_train_with_its_help(
    call_cli: RunCli,
) -> None:
    shown = " ".join(call_cli("train", "--help").out.split())
    of_the_model = {"kind", "prior", "mirrored", "detail"}  # which are given otherwise, or later
    for config, without in ((TrainConfig, {"part"}), (ModelConfig, of_the_model)):
        for name, text in field_help(config).items():
            if name not in without:
                assert f"--{name.replace('_', '-')}" in shown
                assert text in shown


def test_backgrounds_are_found_again_from_any_folder(
    call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    options = ("--model", "detector", "--backgrounds", "photos", "--dry-run")
    shown = json.loads(call_cli("train", pictures, "--out", "run", *options).out)
    assert shown["train"]["backgrounds"] == str(tmp_path / "photos")


def test_unreadable_training_files_are_named_and_skipped(
    call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    (data / "03.png").write_text("not a picture")
    (data / "07.png").write_bytes((data / "07.png").read_bytes()[:100])
    outcome = call_cli("train", "data", "--out", "run", *TINY_TRAINING, "--steps", "1")
    assert outcome.code == 0, outcome.err
    assert "skipped" in outcome.err
    assert "03.png" in outcome.err
    assert "07.png" in outcome.err
    assert "05.png" not in outcome.err
    assert len(np.load(tmp_path / "run" / "images-16.npy")) == 22


BAD_TRAIN: dict[str, tuple[tuple[str, ...], str]] = {
    "no data": ((), "no training data"),
    "missing data": (("nowhere",), "nowhere' does not exist"),
    "data that is no zip": (("text.txt",), "neither a folder nor a zip"),
    "too few images": (("few",), "too few images: 3"),
    "holdout of nearly all": (("data", "--holdout", "20"), "too few images: 4"),
    "holdout of more than all": (("data", "--holdout", "30"), "cannot hold out 30"),
    "missing partition": (("data", "--partition", "nowhere.txt"), "nowhere.txt"),
    "unknown kind": (("data", "--model", "dcgam"), "did you mean 'dcgan'"),
    "unknown precision": (("data", "--precision", "fp16"), "did you mean 'bf16'"),
    "unknown accelerator": (("data", "--accelerator", "abacus"), "abacus"),
    "devices that are no number": (("data", "--devices", "two"), "two"),
    "resolution": (("data", "--resolution", "48"), "power of two"),
    "batch of one": (("data", "--batch-size", "1"), "batch_size"),
    "no steps": (("data", "--steps", "0"), "steps"),
    "learning rate": (("data", "--learning-rate", "nan"), "learning_rate"),
    "seed": (("data", "--seed", "-1"), "seed"),
    "nothing to resume": (("--resume",), "holds no run"),
    "a file for a run": (("data", "--out", "text.txt"), "text.txt"),
}


@pytest.mark.parametrize("case", BAD_TRAIN)
def test_training_that_cannot_start_says_why_and_leaves_no_run_in_the_way(
    case: str, call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    wrong, says = BAD_TRAIN[case]
    shutil.copytree(pictures, tmp_path / "data")
    write_plain_pictures(tmp_path / "few", 3)
    (tmp_path / "text.txt").write_text("x")
    before = contents(tmp_path)
    outcome = call_cli("train", "--out", "run", *TINY_TRAINING, "--steps", "1", *wrong)
    assert outcome.code == 2, outcome
    lines = outcome.err.strip().splitlines()
    assert "Traceback" not in outcome.err
    assert lines[-1].startswith("aleph: ")
    assert says in lines[-1]
    after = contents(tmp_path)
    assert "run/config.json" not in after  # the corrected command would be refused
    assert {name: after[name] for name in before} == before


def test_train_needs_a_place(call_cli: RunCli, pictures: Path) -> None:
    assert_refused(call_cli("train", pictures), "--out RUN")


def test_a_resumed_run_keeps_its_settings(call_cli: RunCli, pictures: Path) -> None:
    assert call_cli("train", pictures, "--out", "run", *TINY_TRAINING, "--steps", "1").code == 0
    outcome = call_cli("train", "--resume", "--out", "run", "--latent-dim", "9")
    assert_refused(outcome, "latent_dim 8; it cannot go on with 9")


def test_export_refuses_what_is_no_run_and_what_cannot_be_written(
    call_cli: RunCli, pictures: Path, tmp_path: Path
) -> None:
    assert_refused(call_cli("export", "nowhere", "-o", "model"), "holds no run")
    assert call_cli("train", pictures, "--out", "run", *TINY_TRAINING, "--steps", "1").code == 0
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("x")
    before = contents(tmp_path)
    assert_refused(call_cli("export", "run", "-o", "photos"), "photos")
    assert_refused(call_cli("export", "run", "-o", "photos/a.png/model"), "photos/a.png")
    assert_refused(call_cli("export", "run", "-o", "run"), "run")
    assert contents(tmp_path) == before


WITHOUT_EXTRA = """
import sys
for name in ("lightning_fabric", "tensorboard"):
    sys.modules[name] = None  # as if it were not installed
sys.argv = ["aleph", "train", "data", "--out", "run"]
from aleph.cli.app import main
main()
"""


def test_training_without_its_packages_says_what_to_install(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(Outcome(done.returncode, done.stdout, done.stderr), "pip install")


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "image.png"),
        ("-o", "link.png"),
        ("-o", "mask.png"),
        ("-o", "a.png", "--figure", "image.png"),
        ("-o", "a.png", "--figure", "a.png"),
        ("-o", "image.png", "-m", "auto+mask.png"),
        ("-o", "mask.png", "-m", "auto+mask.png"),
        ("-o", "a.png", "--figure", "a-2.png", "--candidates", "2"),
    ],
)
def test_nothing_that_is_read_is_written_over(
    words: tuple[str, ...], call_cli: RunCli, scene: Path
) -> None:
    (scene / "link.png").symlink_to(scene / "image.png")
    before = contents(scene)
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "--model", "model", *words)
    assert_refused(outcome, "cannot write")
    assert contents(scene) == before


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_stops_with_a_word_and_leaves_nothing_half_written(
    number: signal.Signals,
    code: int,
    call_cli: RunCli,
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(number)

    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    before = contents(scene)
    monkeypatch.setattr("os.fsync", interrupted)  # the result is written, but not in its place yet
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", "model",
                       "-q")  # fmt: skip
    assert (outcome.code, outcome.out, outcome.err) == (code, "", "aleph: stopped\n")
    assert contents(scene) == before
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_signal_as_a_temporary_file_is_removed_leaves_none(
    call_cli: RunCli, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = files._remove

    def interrupted(path: Path) -> None:
        monkeypatch.setattr("aleph.files._remove", remove)
        signal.raise_signal(signal.SIGTERM)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = contents(scene)
    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr("aleph.files._remove", interrupted)
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", "model",
                       "-q")  # fmt: skip
    assert (outcome.code, outcome.err) == (143, "aleph: stopped\n")
    assert contents(scene) == before


@pytest.mark.parametrize("error", [InputError("the file is damaged"), ValueError("no shape")])
def test_a_signal_that_a_library_takes_for_an_error_still_stops(
    error: Exception, call_cli: RunCli, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misled(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            raise error from None

    monkeypatch.setattr("aleph.inpainter.load_model", misled)
    outcome = call_cli("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", "model")
    assert (outcome.code, outcome.err) == (143, "aleph: stopped\n")
