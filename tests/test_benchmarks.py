"""The benchmarks: what their tables and documents say is what was measured."""

from __future__ import annotations

import dataclasses
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aleph.errors import InputError
from aleph.evaluation.markdown import cell_text
from aleph.evaluation.metrics import psnr
from aleph.evaluation.rows import RowFile
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.photo.pixels import read_image
from aleph.presets import PRESETS, Settings
from aleph.search.config import SearchConfig
from benchmarks.document import command_text, replace_section
from benchmarks.models import presets
from benchmarks.options import spread_sources
from benchmarks.results import run as results
from benchmarks.results.stages import Stage
from benchmarks.speed import document as speed_document
from benchmarks.speed import run as speed
from benchmarks.speed.measure import Case, Measured, Timing, flop_per_step, measure
from conftest import make_model
from helpers import KINDS


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets of a few steps."""
    monkeypatch.setitem(PRESETS["dcgan"], "balanced", Settings(SearchConfig(steps=5)))
    yeh = Settings(SearchConfig(weighting="box", steps=8, start="random"), "poisson")
    monkeypatch.setitem(PRESETS["dcgan"], "yeh2017", yeh)


class TestResults:
    @pytest.fixture
    def stages(self, tiny_folder: Path) -> tuple[Stage, ...]:
        model = str(tiny_folder)
        masks = {"masks": ("center",)}
        both = {**masks, "norms": ("l1", "l2"), "baselines": ()}
        yeh = {**masks, "weightings": ("preset",), "blendings": ("poisson",)}
        return (
            Stage("dcgan", model, fields={**masks, "baselines": ("mean", "telea")}),
            Stage("dcgan-norms", model, 3, "norms", both, drawn=False),
            Stage("yeh", model, 2, "baselines", {**yeh, "baselines": ("yeh2017",)}, drawn=False),
        )

    def test_the_document_says_what_the_stages_found_and_what_it_rests_on(
        self, stages: tuple[Stage, ...], pictures: Path, tmp_path: Path, short: None
    ) -> None:
        path = tmp_path / "docs" / "results.md"
        words = [str(pictures), "--out", str(tmp_path / "out"), "--images", "3", "--workers", "1"]
        words += ["--doc", str(path)]
        assert results.run(results.parse([*words, "--minutes", "0"]), stages) == []

        some = results.run(results.parse([*words, "--stages", "dcgan"]), stages)
        results.write(some, results.parse(words), stages)
        text = path.read_text()
        assert f"`python -m benchmarks results {pictures.name} --out out`" in text.split("##")[0]
        assert "**Not run yet, and not in this document:** `dcgan-norms` and `yeh`." in text
        assert "## Norms" not in text and "## Beside baselines" not in text
        for ranked in some[0][1].rankings:
            assert cell_text(ranked.against.get("uniform")) in text
        links = re.findall(r"!\[.*?\]\((.*?)\)", text)
        assert links and all(0 < (path.parent / x).stat().st_size < 200_000 for x in links)

        # The figures are there.
        undrawn = [dataclasses.replace(stage, drawn=False) for stage in stages]
        whole = results.run(results.parse(words), undrawn)
        assert [summary.images for _, summary in whole] == [3, 3, 2]
        results.write(whole, results.parse(words), stages)
        text = path.read_text()
        assert "Not run yet" not in text
        assert "## Norms" in text and "## Beside baselines" in text

    def test_the_command_names_no_folder_of_this_machine(self) -> None:
        found = command_text("results", ["/a/b/test.zip"], "--out results")
        assert found == "python -m benchmarks results test.zip --out results"

    def test_an_unknown_stage_is_refused(self, stages: tuple[Stage, ...]) -> None:
        options = results.parse(["data", "--out", "out", "--stages", "dcgann"])
        with pytest.raises(InputError, match="did you mean 'dcgan'"):
            results.run(options, stages)


class TestDocument:
    def test_a_section_is_replaced_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "doc.md"
        path.write_text("before\n<!-- leads -->\nold\n<!-- /leads -->\nafter\n")
        replace_section(path, "leads", "new\n")
        assert path.read_text() == "before\n<!-- leads -->\nnew\n<!-- /leads -->\nafter\n"
        with pytest.raises(InputError, match="no section between <!-- speed -->"):
            replace_section(path, "speed", "new\n")

    def test_a_list_that_a_training_on_zips_wrote(self, tmp_path: Path) -> None:
        for archive in ("a.zip", "b.zip"):
            with zipfile.ZipFile(tmp_path / archive, "w") as made:
                for name in ("1.png", "2.png"):
                    made.writestr(name, b"")
        (tmp_path / "holdout.txt").write_text("/elsewhere/a.zip:2.png\n/elsewhere/b.zip:1.png\n")
        found = spread_sources(
            [str(tmp_path / "a.zip"), str(tmp_path / "b.zip")], 5, tmp_path / "holdout.txt"
        )
        assert [Path(one.name).name for one in found] == ["a.zip:2.png", "b.zip:1.png"]

    def test_only_what_a_list_names(self, pictures: Path, tmp_path: Path) -> None:
        held_out = tmp_path / "holdout.txt"
        held_out.write_text("/another/machine/03.png\n/another/machine/17.png\n")
        found = spread_sources([str(pictures)], 5, held_out)
        assert [source.basename for source in found] == ["03.png", "17.png"]
        held_out.write_text("nothing.png\n")
        with pytest.raises(InputError, match="no picture"):
            spread_sources([str(pictures)], 5, held_out)


class TestPresets:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return make_model(tmp_path_factory.mktemp("models") / "small", KINDS["amortised"])

    def test_one_search_serves_every_number_of_starts(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inpainter = Inpainter.from_pretrained(folder, device="cpu")
        images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
        holes = [named_hole("strokes", (16, 16), seed) for seed in range(3)]
        config = SearchConfig(latent_weight=0.01, steps=4, starts=8)
        found = presets.Trial(inpainter, images, holes).quality(config, 1, 3)
        for starts in presets.STARTS:
            filled = inpainter.batch(list(images[1:]), holes[1:], seeds=[1, 2], preset="thorough",
                                     starts=starts, steps=4, adaptation_steps=0)  # fmt: skip
            expected = [
                psnr(image, result.image, hole)
                for image, result, hole in zip(images[1:], filled, holes[1:], strict=True)
            ]
            assert [row[starts] for row in found] == pytest.approx(expected, abs=0.05)

    def test_table_plot_and_going_on(
        self,
        folder: Path,
        pictures: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(presets, "STEPS", (0, 2))
        for name, steps, starts in (("balanced", 2, 1), ("thorough", 3, 2)):
            search = SearchConfig(prior_weight=0.0, steps=steps, starts=starts)
            monkeypatch.setitem(PRESETS["amortised"], name, Settings(search))
        monkeypatch.setattr(presets, "TIMED_STEPS", 2)
        words = [str(pictures), "--out", str(tmp_path / "out"), "--images", "2", "--repeats", "1"]
        words += ["--models", str(folder), "--masks", "center,half"]
        words += ["--plot", str(tmp_path / "plot.png"), "--precision", "fp32"]
        presets.main(words)
        shown = capsys.readouterr().out
        rows = [line.split("|") for line in shown.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(presets.grid())
        times = [float(row[5]) for row in rows]
        assert times == sorted(times)
        assert {row[1].strip() for row in rows} == {"", "fast", "balanced", "thorough"}
        file = RowFile(tmp_path / "out" / "presets.jsonl")
        (balanced,) = (row for row in rows if row[1].strip() == "balanced")
        values = [
            file.ordered([(i, m, "small/2/1/0")])[0]["psnr_hole"]
            for m in ("center", "half")
            for i in range(2)
        ]
        assert float(balanced[6].strip(" *")) == pytest.approx(np.mean(values), abs=0.006)
        assert read_image(tmp_path / "plot.png").shape[1] > 300

        monkeypatch.setattr(presets.Trial, "quality", None)
        presets.main(words)
        words[words.index("--precision") + 1] = "bf16"
        with pytest.raises(InputError, match="name another folder"):
            presets.main(words)


class TestSpeed:
    def test_a_long_search_is_continued_linearly(
        self, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A clock that is moved by the search alone: 2 s to begin, 0.5 s a step, for 2 images."""
        clock = [0.0]

        def batch(self: Inpainter, *_: object, steps: int, **__: object) -> None:
            clock[0] += 2 + 0.5 * steps

        monkeypatch.setattr(Inpainter, "batch", batch)
        monkeypatch.setattr("benchmarks.speed.measure.time.perf_counter", lambda: clock[0])
        timing = measure(Case("thorough", str(tiny_folder), 2), [], [], repeats=2)
        assert timing.seconds[1] == pytest.approx((2 + 0.5 * 200) / 2)
        assert timing.step == pytest.approx(0.25)

    def test_classical_fills_and_loading_are_measured(self, tiny_folder: Path) -> None:
        image, hole = np.zeros((16, 16, 3), np.uint8), named_hole("center", (16, 16))
        timing = measure(Case("telea", "", 1, 16), [image], [hole], 3)
        assert 0 < timing.seconds[0] <= timing.seconds[1] <= timing.seconds[2] < 1
        assert measure(Case("nothing", str(tiny_folder)), [], [], 1).megabytes > 10

    def test_every_start_costs_a_pass_and_its_gradient(self, tiny_folder: Path) -> None:
        one, eight = (
            flop_per_step(str(tiny_folder), preset) for preset in ("balanced", "thorough")
        )
        assert eight == pytest.approx(8 * one) and one > 0

    def test_the_document_compares_with_yeh_at_the_same_batch(self) -> None:
        def timing(seconds: float, step: float = 0.0) -> Timing:
            return Timing((seconds / 2, seconds, seconds * 2), step, 100.0)

        found = {
            Case("nothing", "m"): timing(0.0),
            Case("balanced", "m", 1): timing(1.0),
            Case("yeh2017", "m", 1): timing(50.0),
            Case("balanced", "m", 4): timing(0.5, 0.02),
            Case("yeh2017", "m", 4): timing(40.0),
            Case("telea", "", 1): timing(0.01),
            Case("balanced", "big", 1, 128): timing(3.0),
            Case("balanced", "big", 4, 128): timing(2.0, 0.1),
        }
        flop = {("m", "balanced"): 2.0, ("big", "balanced"): 6.0}
        profiles = {("m", "fp32"): [("mkldnn_convolution", 0.6), ("mul", 0.4)]}
        text = speed_document.document(
            Measured(found, {"fp32": (90.0, 200.0, 210.0)}, flop, profiles, 2, 3), "python it"
        )
        assert "Made by `python it`" in text
        assert "| balanced | fp32 | 4 | 0.5 (0.25 to 1) | 80 | 100 |" in text
        assert "| telea |  | 1 | 0.01 (0.005 to 0.02) | 5,000 | 100 |" in text
        growth = "`balanced` takes 3.0 times as long with `big` at 128 as with `m` at 64."
        assert growth in text.replace("\n", " ")
        assert "| `m`, balanced | fp32 | 4 | 2.00 | 20.00 | 100 | 50% |" in text
        assert "convolutions take 60% of the time" in text.replace("\n", " ")

    def test_what_is_measured(self, tiny_folder: Path) -> None:
        listed = speed.cases(str(tiny_folder), str(tiny_folder), [1, 16, 64], [256, 512])
        assert len(set(listed)) == len(listed)
        for preset in speed.PRESETS:
            assert {c.batch for c in listed if c.method == preset} >= {1, 16, 64}
        assert {c.side for c in listed if c.method == "telea"} == {16, 256, 512}
        assert max(c.side for c in listed if c.method == "biharmonic") <= speed.SLOW_FILL_SIDE

    def test_pictures_are_repeated_and_enlarged(self, pictures: Path) -> None:
        sources = speed.find_sources([str(pictures)])[:2]
        images, holes = speed.damaged(sources, Case("fast", "m", 3, 160))
        assert [image.shape for image in images] == [(160, 160, 3)] * 3
        assert np.array_equal(images[0], images[2]) and holes[0].shape == (160, 160)


def test_files_that_differ_are_told_by_their_levels(tmp_path: Path) -> None:
    from benchmarks.safety.determinism import compare, write_photos

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_photos(tmp_path / name)
    one, other = tmp_path / "one" / "photos", tmp_path / "other" / "photos"
    assert compare(other, one) == (0, 0)
    pixels = np.array(Image.open(one / "grey.png"))
    pixels[3, 4] = np.where(pixels[3, 4] < 128, pixels[3, 4] + 7, pixels[3, 4] - 7)
    Image.fromarray(pixels).save(other / "grey.png")
    assert compare(other, one) == (1, 7)
