"""Metrics, baselines, statistics and the resumable run of `aleph evaluate`."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import types
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from aleph.errors import (
    AlephError,
    InputError,
    MaskWarning,
    MissingDependencyError,
    UnfinishedError,
)
from aleph.evaluation import EvaluationPlan, evaluate, parse_overrides
from aleph.evaluation import learned_metrics as extras
from aleph.evaluation.classical import CLASSICAL, classical_fill
from aleph.evaluation.curves import CurveRecorder, is_recorded
from aleph.evaluation.markdown import cell_text, interval_text, keyed_table
from aleph.evaluation.metrics import PSNR_CAP, measure, psnr, ssim_map
from aleph.evaluation.plan import Setting
from aleph.evaluation.realism import (
    FEATURES,
    frechet_distance,
    sharpness,
    texture_distance,
    texture_features,
)
from aleph.evaluation.rows import RowFile
from aleph.evaluation.sections import shown_from
from aleph.evaluation.statistics import Difference, paired_bootstrap
from aleph.evaluation.summary import Results, best_classical
from aleph.masks.named import named_hole
from aleph.models.config import ModelConfig
from aleph.models.folder import save_model
from aleph.models.networks import build_networks
from aleph.presets import PRESETS, Settings, resolve_settings
from aleph.progress import Reporter
from aleph.search.config import SearchConfig
from aleph.search.latent import SearchStep

SIDE = 16


def leaves(seed: int, side: int = 48) -> np.ndarray:
    """Dead leaves: discs of many sizes that hide each other have the spectrum of photographs."""
    rng = np.random.default_rng(seed)
    canvas = np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(80):
        centre = tuple(map(int, rng.integers(0, side, 2)))
        colour = tuple(map(int, rng.integers(0, 256, 3)))
        cv2.circle(canvas, centre, int(2 + 10 * rng.random() ** 2), colour, -1, cv2.LINE_AA)
    return canvas


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ModelConfig(
        kind="dcgan", resolution=SIDE, latent_dim=8, generator_width=8, discriminator_width=8
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(folder, config, build_networks(config), "a test's model")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(5):
        Image.fromarray(leaves(number, SIDE)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def plan(model: Path, photos: Path) -> EvaluationPlan:
    return EvaluationPlan(
        model=str(model),
        data=(str(photos),),
        images=5,
        masks=("center", "random"),
        weightings=("uniform", "inverse"),
        blendings=("paste", "poisson"),
        baselines=("mean", "telea", "biharmonic"),
        overrides={"steps": 3},
        batch_size=2,
        shown=1,
    )


def without_times(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


class TestMetrics:
    def test_psnr_by_hand(self) -> None:
        original = np.zeros((2, 2, 3), np.uint8)
        filled = original.copy()
        filled[0, 0] = (3, 4, 5)
        hole = np.array([[True, False], [False, False]])
        # MSE of the hole (9 + 16 + 25) / 3, of the image a quarter of it
        assert psnr(original, filled, hole) == pytest.approx(10 * np.log10(255**2 / (50 / 3)))
        assert psnr(original, filled) == pytest.approx(10 * np.log10(255**2 / (50 / 12)))

    def test_black_for_white_is_zero_and_equal_is_the_cap(self) -> None:
        black = np.zeros((3, 4, 3), np.uint8)
        assert psnr(black, black + np.uint8(255)) == pytest.approx(0.0)
        assert psnr(black, black) == PSNR_CAP

    def test_agrees_with_scikit_image(self) -> None:
        original, filled = leaves(0), leaves(1)
        hole = named_hole("center", (48, 48))
        found = measure(original, filled, hole)
        reference, full = structural_similarity(
            original, filled, data_range=255, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        assert found["ssim_image"] == pytest.approx(reference)
        assert found["ssim_hole"] == pytest.approx(full[hole].mean())
        expected = peak_signal_noise_ratio(original, filled, data_range=255)
        assert found["psnr_image"] == pytest.approx(expected)
        expected = peak_signal_noise_ratio(original[hole], filled[hole], data_range=255)
        assert found["psnr_hole"] == pytest.approx(expected)

    def test_ssim_of_constants_by_hand(self) -> None:
        """Flat images have no variance: SSIM is (2ab + C₁) / (a² + b² + C₁)."""
        a, b, c1 = 100.0, 150.0, (0.01 * 255) ** 2
        first, second = (np.full((16, 16, 3), v, np.uint8) for v in (a, b))
        assert ssim_map(first, second) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1))

    def test_a_perfect_fill(self) -> None:
        image, hole = leaves(0), named_hole("half", (48, 48))
        found = measure(image, image.copy(), hole)
        assert found == {
            "psnr_hole": 100.0, "psnr_image": 100.0, "ssim_hole": 1.0, "ssim_image": 1.0
        }  # fmt: skip


class TestRealism:
    @pytest.fixture(scope="class")
    def images(self) -> list[np.ndarray]:
        return [leaves(seed) for seed in range(60)]

    def features(self, images: list[np.ndarray]) -> np.ndarray:
        hole = named_hole("center", (48, 48))
        return np.array([texture_features(image, hole) for image in images])

    def test_blur_makes_it_worse_step_by_step(self, images: list[np.ndarray]) -> None:
        originals = self.features(images)
        blurred = [
            self.features([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])
            for sigma in (0.5, 1.0, 1.5, 2.0, 3.0)
        ]
        distances = [texture_distance(originals, fills) for fills in blurred]
        assert distances == sorted(distances)
        assert distances[0] > texture_distance(originals, originals) == pytest.approx(0, abs=1e-6)
        sharp = [sharpness(originals, fills) for fills in blurred]
        assert sharp == sorted(sharp, reverse=True) and sharp[0] < 1

    def test_noise_makes_it_worse_step_by_step(self, images: list[np.ndarray]) -> None:
        rng = np.random.default_rng(0)
        originals = self.features(images)
        distances = [
            texture_distance(originals, self.features([noisy(i, s, rng) for i in images]))
            for s in (5, 10, 20, 40)
        ]
        assert distances == sorted(distances) and distances[0] > 0.01

    def test_other_images_of_the_class_are_near(self, images: list[np.ndarray]) -> None:
        """A plausible fill that is not what was there must not be punished as blur is."""
        originals = self.features(images)
        others = self.features([leaves(seed) for seed in range(100, 160)])
        blurred = self.features([cv2.GaussianBlur(image, (0, 0), 1) for image in images])
        assert texture_distance(originals, others) < texture_distance(originals, blurred) / 3

    def test_features_are_finite_on_a_flat_image(self) -> None:
        flat = texture_features(np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=bool))
        assert flat.shape == (FEATURES,) and np.isfinite(flat).all()

    def test_too_few_images_have_no_distance(self) -> None:
        assert texture_distance(np.zeros((1, FEATURES)), np.zeros((1, FEATURES))) is None

    def test_frechet_distance_by_hand(self) -> None:
        """Diagonal covariances: d² = |μ₁ − μ₂|² + Σ (s₁ − s₂)²."""
        unit = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) * np.sqrt(1.5)
        first, second = unit * (1.0, 2.0), unit * (3.0, 2.0) + (5.0, 0.0)
        assert frechet_distance(first, second) == pytest.approx(25 + 4)
        assert frechet_distance(first, first) == pytest.approx(0, abs=1e-12)


def noisy(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image + rng.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


class TestClassical:
    @settings(max_examples=15, deadline=None)
    @given(
        image=arrays(np.uint8, (9, 13, 3)),
        junk=arrays(np.uint8, (9, 13, 3)),
        hole=arrays(bool, (9, 13)).filter(lambda hole: not hole.all()),
        name=st.sampled_from(list(CLASSICAL)),
    )
    def test_keeps_what_is_known_and_never_looks_into_the_hole(
        self, image: np.ndarray, junk: np.ndarray, hole: np.ndarray, name: str
    ) -> None:
        before = image.copy()
        filled = classical_fill(name, image, hole)
        assert filled.dtype == np.uint8 and filled.shape == image.shape
        assert np.array_equal(filled[~hole], image[~hole])
        assert np.array_equal(image, before)
        other = np.where(hole[:, :, None], junk, image)
        assert np.array_equal(classical_fill(name, other, hole), filled)

    def test_mean_is_of_the_known_pixels(self) -> None:
        image = np.zeros((2, 2, 3), np.uint8)
        image[0, 1], image[1, 0], image[1, 1] = 30, 60, 255
        hole = np.array([[False, False], [False, True]])
        assert classical_fill("mean", image, hole)[1, 1].tolist() == [30, 30, 30]

    @pytest.mark.parametrize("name", ["telea", "navier-stokes", "biharmonic"])
    def test_beats_the_mean_colour_on_a_ramp(self, name: str) -> None:
        ramp = np.repeat(np.arange(0, 240, 5, dtype=np.uint8)[None, :, None], 48, 0).repeat(3, 2)
        hole = named_hole("center", (48, 48))
        scores = {n: psnr(ramp, classical_fill(n, ramp, hole), hole) for n in ("mean", name)}
        assert scores[name] > scores["mean"] + 3

    def test_unusable_input(self) -> None:
        image = np.zeros((4, 4, 3), np.uint8)
        with pytest.raises(InputError, match="did you mean 'telea'"):
            classical_fill("tele", image, np.eye(4, dtype=bool))
        with pytest.raises(InputError, match="nothing to go by"):
            classical_fill("mean", image, np.ones((4, 4), bool))


class TestStatistics:
    def test_a_constant_difference_is_certain(self) -> None:
        values = np.random.default_rng(0).normal(20, 5, 50)
        found = paired_bootstrap(values + 0.25, values)
        assert (found.low, found.mean, found.high) == pytest.approx((0.25, 0.25, 0.25))
        assert found.shown and found.verdict == "higher"

    def test_no_difference(self) -> None:
        values = np.arange(10.0)
        assert paired_bootstrap(values, values) == Difference(0.0, 0.0, 0.0, 10)
        assert paired_bootstrap(values, values).verdict == "no difference shown"

    def test_agrees_with_the_normal_interval(self) -> None:
        rng = np.random.default_rng(1)
        noise = rng.normal(0.1, 1, 400)
        base = rng.normal(20, 10, 400)  # what makes an image hard cancels
        found = paired_bootstrap(base + noise, base)
        error = noise.std() / np.sqrt(400)
        assert found.mean == pytest.approx(noise.mean())
        assert found.low == pytest.approx(noise.mean() - 1.96 * error, abs=0.1 * error)
        assert found.high == pytest.approx(noise.mean() + 1.96 * error, abs=0.1 * error)

    def test_sign_and_seed(self) -> None:
        rng = np.random.default_rng(2)
        first, second = rng.normal(0, 1, 30), rng.normal(3, 1, 30)
        found, back = paired_bootstrap(first, second), paired_bootstrap(second, first)
        assert found.verdict == "lower" and back.verdict == "higher"
        assert found.low == pytest.approx(-back.high)
        assert found == paired_bootstrap(first, second, seed=0)
        assert found != paired_bootstrap(first, second, seed=1)

    def test_one_image_shows_nothing(self) -> None:
        found = paired_bootstrap(np.array([3.0]), np.array([1.0]))
        assert found.mean == 2.0 and not found.shown
        assert interval_text(found) == "+2.00 [−∞, +∞], no difference shown".replace("+∞", "∞")

    def test_unequal_lengths(self) -> None:
        with pytest.raises(ValueError, match="equally long"):
            paired_bootstrap(np.zeros(3), np.zeros(4))


class TestPlan:
    def test_one_search_serves_all_blendings_and_nothing_comes_twice(self, model: Path) -> None:
        own = resolve_settings("balanced", "dcgan")
        plan = EvaluationPlan(
            model=str(model),
            data=("d",),
            weightings=(own.search.weighting, "preset", "box"),
            blendings=("paste", own.blending, "preset"),
            baselines=("telea", "yeh2017"),
            overrides={"steps": 1},
        )
        works = plan.works()
        assert [[setting.name for setting in work] for work in works] == [
            ["original"],
            [f"balanced/{own.search.weighting}/l1/{b}" for b in ("paste", own.blending)],
            [f"balanced/box/l1/{b}" for b in ("paste", own.blending)],
            ["telea"],
            ["yeh2017@tiny/box/l1/poisson"],
        ]
        assert plan.overrides_of(works[1][0])["steps"] == 1
        assert "steps" not in plan.overrides_of(works[4][0]), "Yeh's procedure is as published"

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"masks": ()}, "at least one of masks"),
            ({"weightings": ("invers",)}, "did you mean 'inverse'"),
            ({"norms": ("l3",)}, "unknown norm 'l3'"),
            ({"presets": ("slow",)}, "unknown preset"),
            ({"blendings": ("posson",)}, "did you mean 'poisson'"),
            ({"baselines": ("yeh",)}, "unknown baseline 'yeh'"),
            ({"overrides": {"step": 3}}, "did you mean 'steps'"),
            ({"overrides": {"norm": "l2"}}, "option of its own"),
            ({"overrides": {"steps": -1}}, "steps must be"),
            ({"images": 0}, "images must be at least 1"),
            ({"extra_metrics": ("lpip",)}, "did you mean 'lpips'"),
            ({"protocol": "celebb"}, "did you mean 'celeba'"),
            ({"masks": ("a/m.png", "b/m.png")}, "two masks have one name"),
        ],
    )
    def test_refuses(self, fields: dict, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            EvaluationPlan(**{"model": "m", "data": ("d",), **fields})

    def test_overrides_from_words(self) -> None:
        words = ["steps=20", "prior_weight=0", "clip=no"]
        assert parse_overrides(words) == {"steps": 20, "prior_weight": 0.0, "clip": False}
        for word, sentence in (
            ("steps", "NAME=VALUE"),
            ("stepps=3", "did you mean 'steps'"),
            ("steps=3.5", "must be a int"),
            ("clip=perhaps", "yes or no"),
        ):
            with pytest.raises(InputError, match=sentence):
                parse_overrides([word])

    def test_command(self) -> None:
        plan = EvaluationPlan("m", ("a b",), masks=("half",), overrides={"steps": 2}, seed=7)
        assert plan.command() == (
            "aleph evaluate m 'a b' --masks half --overrides steps=2 --seed 7"
        )


class TestCurves:
    def test_psnr_of_the_best_start_in_groups(self) -> None:
        originals = np.full((3, 4, 4, 3), 100, np.uint8)
        holes = np.zeros((3, 4, 4), bool)
        holes[:, 1, 1] = True
        recorder = CurveRecorder(originals, holes)
        for values in ([[110, 130], [100, 140]], [[255, 120]]):
            grey = torch.tensor(values, dtype=torch.float32)
            generated = (grey / 127.5 - 1)[:, :, None, None, None].expand(-1, -1, 3, 4, 4)
            losses = {"total": torch.tensor([[1.0, 2.0]] * len(values))}
            losses["total"][-1] = torch.tensor([2.0, 1.0])
            recorder(SearchStep(0, 0, losses, generated, torch.zeros(1)))
        history = {"context": np.array([0.5], np.float32)}
        expected = [10 * np.log10(255**2 / d**2) for d in (10, 40, 20)]
        found = [recorder.of(index, history) for index in range(3)]
        assert [curve["psnr_hole"][0] for curve in found] == pytest.approx(expected)
        assert found[0]["context_loss"] == [0.5]

    def test_incomplete_groups_have_no_curve(self) -> None:
        recorder = CurveRecorder(np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 4, 4), bool))
        assert recorder.of(0, {"context": np.zeros(1, np.float32)}) is None

    def test_the_last_step_is_always_seen(self) -> None:
        assert [s for s in range(45) if is_recorded(s, 44)] == [
            0,
            1,
            2,
            3,
            5,
            7,
            10,
            15,
            20,
            30,
            44,
        ]


class TestRows:
    def row(self, image: int) -> dict:
        return {"image": image, "mask": "m", "setting": "s", "psnr_hole": 1 / 3}

    def test_a_half_written_last_line_is_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        RowFile(path).append([self.row(0), self.row(1)])
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"image": 2, "ma')
        file = RowFile(path)
        assert len(file) == 2 and path.read_bytes() == whole
        file.append([self.row(1), self.row(2)])
        assert [json.loads(line)["image"] for line in path.read_text().splitlines()] == [0, 1, 2]

    def test_a_damaged_line_elsewhere_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        path.write_text('{"image": 0}\n')
        with pytest.raises(InputError, match="line 1 is damaged"):
            RowFile(path)

    def test_no_number_is_null(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        RowFile(path).append([{**self.row(0), "context_loss": float("nan")}])
        assert json.loads(path.read_text())["context_loss"] is None


class TestReport:
    def test_a_gain_is_shown_from_where_it_stays_shown(self) -> None:
        def gains(*lows: float) -> list[tuple[int, Difference]]:
            return [(step, Difference(low + 1, low, low + 2, 9)) for step, low in enumerate(lows)]

        assert shown_from(gains(1, -1, 1, 1)) == "2"
        assert shown_from(gains(1, 1)) == "0"
        assert shown_from(gains(1, -1)) == "not at the end"

    def test_columns_that_are_the_same_in_every_row_are_said_once(self) -> None:
        rows = [("m", "a", "1"), ("m", "b", "2")]
        assert keyed_table(("model", "mask"), ("PSNR",), rows) == (
            "In every row: model m.\n\n| mask | PSNR |\n| --- | --- |\n| a | 1 |\n| b | 2 |"
        )

    def test_every_question_has_its_sentence_and_its_table(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        yeh = Settings(SearchConfig(weighting="box", steps=4, start="random"), "poisson")
        monkeypatch.setitem(PRESETS["dcgan"], "yeh2017", yeh)
        fields = {
            **plan.__dict__,
            "weightings": ("uniform", "preset"),
            "norms": ("l1", "l2"),
            "blendings": ("paste", "poisson", "preset"),
            "baselines": ("mean", "telea", "yeh2017"),
        }
        summary = evaluate(EvaluationPlan(**fields), tmp_path / "out", figures=False)
        text = (tmp_path / "out" / "summary.md").read_text()
        head, _, tables = text.partition("## Ranking of the weightings")
        short = head.replace("\n  ", " ")
        assert "against `uniform`" in short and "l1 against l2, 12 cells" in short
        assert "against `yeh2017@tiny`, both blended by `poisson`, 5 images" in short
        (lead,) = (
            lead
            for lead in summary.leads
            if lead.first.name == "balanced/inverse-square/l1/matern" and lead.mask == "center"
        )
        assert f"dB: center {interval_text(lead.difference)}" in short
        for title in ("Gain over `uniform`", "Over the steps", "Norms", "Lead over", "Beside base"):
            assert f"## {title}" in tables
        for c in summary.comparisons:
            if (c.metric, c.factor) == ("psnr_hole", "norm"):
                assert cell_text(c.difference) in tables


class TestEvaluate:
    def test_files_and_tables(self, plan: EvaluationPlan, tmp_path: Path) -> None:
        summary = evaluate(plan, tmp_path / "out")
        rows = without_times(tmp_path / "out" / "results.jsonl")
        assert len(rows) == 5 * 2 * (1 + 2 * 2 + 3)
        assert all(path.stat().st_size > 0 for path in summary.files)
        names = {path.name for path in summary.files}
        assert {
            "summary.md", "summary.csv", "summary.json", "differences.csv", "steps.csv",
            "figure-weights.png", "figure-weightings-center.png", "figure-methods-random.png",
            "figure-steps-center-balanced-l1.png", "search-center.gif",
        } <= names  # fmt: skip
        with (tmp_path / "out" / "summary.csv").open() as file:
            table = {(row["mask"], row["setting"]): row for row in csv.DictReader(file)}
        telea = [r["psnr_hole"] for r in rows if (r["mask"], r["setting"]) == ("random", "telea")]
        assert float(table["random", "telea"]["psnr_hole"]) == pytest.approx(np.mean(telea))
        assert "no difference shown" in (tmp_path / "out" / "summary.md").read_text()
        json.loads((tmp_path / "out" / "summary.json").read_text())

    def test_search_is_paired_and_the_curve_ends_at_the_pasted_fill(
        self, plan: EvaluationPlan, tmp_path: Path
    ) -> None:
        evaluate(plan, tmp_path, figures=False)
        rows = without_times(tmp_path / "results.jsonl")
        curves = {r["setting"]: r["curve"] for r in rows if "curve" in r and r["image"] == 3}
        assert set(curves) == {"balanced/uniform/l1/paste", "balanced/inverse/l1/paste"}
        starts = {curve["psnr_hole"][0] for curve in curves.values()}
        assert len(starts) == 1, "every setting starts from the same codes in the same hole"
        for row in rows:
            if "curve" in row:
                # the best state by total loss is one of those seen
                assert min(row["curve"]["context_loss"]) <= row["context_loss"] + 1e-3
                assert row["curve"]["step"] == [0, 1, 2, 3]

    def test_holes_that_are_asked_for_are_not_doubted(
        self, plan: EvaluationPlan, tmp_path: Path
    ) -> None:
        """Of a photo's mask that marks 80 % it is asked whether it is the wrong way round."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", MaskWarning)
            evaluate(replace(plan, masks=("random",)), tmp_path, figures=False)

    def test_leads_are_over_the_best_classical_fill(
        self, plan: EvaluationPlan, tmp_path: Path
    ) -> None:
        summary = evaluate(plan, tmp_path, figures=False)
        rows = without_times(tmp_path / "results.jsonl")
        for mask in plan.masks:
            means = {
                name: np.mean(
                    [r["psnr_hole"] for r in rows if (r["mask"], r["setting"]) == (mask, name)]
                )
                for name in plan.baselines
            }
            best = max(means, key=lambda name: means[name])
            assert best_classical(Results(plan, rows), mask) == Setting(best)
            assert {lead.second.name for lead in summary.leads if lead.mask == mask} == {best}

    def test_killed_and_started_again_gives_the_same_table(
        self, plan: EvaluationPlan, tmp_path: Path
    ) -> None:
        straight = evaluate(plan, tmp_path / "straight", figures=False)
        broken = tmp_path / "broken"
        kill_half_way(plan, broken)
        done = (broken / "results.jsonl").read_bytes()
        assert 20 < done.count(b"\n") < 60 and not done.endswith(b"\n")
        resumed = evaluate(plan, broken, figures=False)
        expected = without_times(tmp_path / "straight" / "results.jsonl")
        assert without_times(broken / "results.jsonl") == expected
        assert resumed.leads == straight.leads and resumed.rankings == straight.rankings

    def test_a_bounded_run_reports_on_finished_images_and_goes_on(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(UnfinishedError, match="the same call goes on"):
            evaluate(plan, tmp_path / "out", figures=False, seconds=0)
        with monkeypatch.context() as patch:
            # A task takes one tick: 17 of the 36 are done, the first two images with all of theirs.
            clock = types.SimpleNamespace(monotonic=iter(range(1000)).__next__)
            patch.setattr("aleph.evaluation.parallel.time", clock)
            part = evaluate(plan, tmp_path / "out", figures=False, seconds=16)
        assert (part.images, part.left) == (2, 3)
        assert all(mean.n == 2 for mean in part.means)
        assert "3 more images are not done yet" in (tmp_path / "out" / "summary.md").read_text()
        whole = evaluate(plan, tmp_path / "out", figures=False)
        straight = evaluate(plan, tmp_path / "straight", figures=False)
        assert (whole.images, whole.left) == (5, 0) and whole.rankings == straight.rankings
        assert "not done yet" not in (tmp_path / "out" / "summary.md").read_text()

    def test_a_finished_run_is_not_done_again(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluate(plan, tmp_path, figures=False)
        before = (tmp_path / "results.jsonl").read_bytes()
        monkeypatch.setattr("aleph.evaluation.parallel.run_tasks", None)
        evaluate(plan, tmp_path, figures=False)
        assert (tmp_path / "results.jsonl").read_bytes() == before

    def test_workers_give_the_same_rows(self, plan: EvaluationPlan, tmp_path: Path) -> None:
        evaluate(plan, tmp_path / "one", figures=False)
        evaluate(plan, tmp_path / "two", figures=False, workers=2)
        one, two = (without_times(tmp_path / name / "results.jsonl") for name in ("one", "two"))
        assert [r["setting"] for r in one] == [r["setting"] for r in two]
        for metric in ("psnr_hole", "ssim_image"):
            assert [r[metric] for r in one] == pytest.approx([r[metric] for r in two], abs=0.05)

    def test_another_plan_in_the_same_folder_is_refused(
        self, plan: EvaluationPlan, photos: Path, tmp_path: Path
    ) -> None:
        small = EvaluationPlan(**{**plan.__dict__, "images": 2, "presets": ()})
        evaluate(small, tmp_path, figures=False)
        for change, sentence in (
            ({"seed": 3}, "with seed 0, not 3: name another folder"),
            ({"masks": ("half",)}, "with masks center, random, not half"),
        ):
            other = EvaluationPlan(**{**small.__dict__, **change})
            with pytest.raises(InputError, match=sentence):
                evaluate(other, tmp_path, figures=False)
        moved = tmp_path / "moved"
        moved.mkdir()
        for name in ("0.png", "1.png"):
            (moved / name).write_bytes((photos / name).read_bytes())
        same = EvaluationPlan(**{**small.__dict__, "data": (str(moved),)})
        evaluate(same, tmp_path, figures=False)
        (moved / "1.png").write_bytes((photos / "2.png").read_bytes())
        with pytest.raises(InputError, match="of other images"):
            evaluate(same, tmp_path, figures=False)

    def test_masks_from_files_and_unreadable_images(
        self, plan: EvaluationPlan, photos: Path, tmp_path: Path
    ) -> None:
        mask = tmp_path / "spot.png"
        Image.fromarray(np.eye(SIDE, dtype=np.uint8) * np.uint8(255)).save(mask)
        data = tmp_path / "data"
        data.mkdir()
        (data / "0.png").write_bytes((photos / "0.png").read_bytes())
        (data / "1.png").write_bytes(b"no picture")
        fields = {**plan.__dict__, "data": (str(data),), "masks": (str(mask),), "presets": ()}
        summary = evaluate(EvaluationPlan(**fields), tmp_path / "out", figures=False)
        assert summary.images == 1
        assert {mean.mask for mean in summary.means} == {"spot"}

    def test_unusable_input(self, plan: EvaluationPlan, tmp_path: Path) -> None:
        for change, sentence in (
            ({"data": (str(tmp_path / "no"),)}, "does not exist"),
            ({"masks": ("centre",)}, "did you mean 'center'"),
            ({"resolution": 32, "protocol": "celeba"}, "at resolution 64"),
        ):
            other = EvaluationPlan(**{**plan.__dict__, **change})
            with pytest.raises(InputError, match=sentence):
                evaluate(other, tmp_path / "out", figures=False)
        with pytest.raises(InputError, match="workers"):
            evaluate(plan, tmp_path / "out", workers=0)
        (tmp_path / "results.jsonl").write_text("")
        with pytest.raises(InputError, match="holds results but no plan"):
            evaluate(plan, tmp_path, figures=False)

    def test_celeba_protocol_holds_out_by_the_partition(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aleph.evaluation.inputs.CELEBA_IMAGES", 2)
        data = tmp_path / "img_align_celeba"
        data.mkdir()
        for number in range(4):
            Image.fromarray(leaves(number)).save(data / f"{number}.png")
        parts = ["0.png 2", "1.png 0", "2.png 2", "3.png 1"]
        (tmp_path / "list_eval_partition.txt").write_text("\n".join(parts))
        change = {"data": (str(data),), "protocol": "celeba", "masks": ("half",), "presets": ()}
        summary = evaluate(EvaluationPlan(**{**plan.__dict__, **change}), tmp_path / "out")
        assert summary.resolution == 64
        names = (tmp_path / "out" / "images.txt").read_text().splitlines()
        assert [Path(name).name for name in names] == ["0.png", "2.png"]


KILLED = """
import json, os, signal, sys
from aleph.evaluation import EvaluationPlan, evaluate
from aleph.evaluation.rows import RowFile

append, calls = RowFile.append, []

def dying(self, rows):
    calls.append(1)
    if len(calls) < 12:
        return append(self, rows)
    with self.path.open("a") as file:
        file.write('{"image": 2, "na')
    os.kill(os.getpid(), signal.SIGKILL)

RowFile.append = dying
values = json.loads(sys.argv[1])
values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
evaluate(EvaluationPlan(**values), sys.argv[2], figures=False)
"""


def kill_half_way(plan: EvaluationPlan, out: Path) -> None:
    """Run the evaluation in a process that is killed -9 in the midst of writing a row."""
    command = [sys.executable, "-c", KILLED, json.dumps(plan.to_dict()), str(out)]
    process = subprocess.run(command, check=False, timeout=120)
    assert process.returncode == -signal.SIGKILL


class TestExtras:
    def test_missing_packages_are_named(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "lpips", None)
        monkeypatch.setitem(sys.modules, "torch_fidelity", None)
        for metric, package in (("lpips", "lpips"), ("fid", "torch-fidelity")):
            other = EvaluationPlan(**{**plan.__dict__, "extra_metrics": (metric,)})
            with pytest.raises(MissingDependencyError, match=f"pip install {package}.*network"):
                evaluate(other, tmp_path / "out")
        assert not (tmp_path / "out").exists(), "refused before any time is spent"

    def test_both_reach_the_summary(
        self, plan: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def calculate_metrics(input1: str, input2: str, **options: bool) -> dict[str, float]:
            assert len(list(Path(input1).iterdir())) == len(list(Path(input2).iterdir())) == 5
            return {"frechet_inception_distance": 12.5}

        def distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return (first - second).abs().mean()

        lpips = types.SimpleNamespace(
            LPIPS=lambda **_: types.SimpleNamespace(eval=lambda: distance)
        )
        fidelity = types.SimpleNamespace(calculate_metrics=calculate_metrics)
        monkeypatch.setitem(sys.modules, "lpips", lpips)
        monkeypatch.setitem(sys.modules, "torch_fidelity", fidelity)
        extras._lpips_network.cache_clear()
        fields = {**plan.__dict__, "extra_metrics": ("lpips", "fid"), "presets": ()}
        summary = evaluate(EvaluationPlan(**fields), tmp_path, figures=False)
        extras._lpips_network.cache_clear()
        assert {mean.fid for mean in summary.means} == {12.5}
        assert all(mean.lpips > 0 for mean in summary.means)

    def test_weights_that_cannot_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(**_: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=unreachable))
        extras._lpips_network.cache_clear()
        with pytest.raises(AlephError, match="connect to a network or leave the metric out"):
            extras.check_extras(["lpips"])


def test_progress_counts_rows(
    plan: EvaluationPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = EvaluationPlan(**{**plan.__dict__, "images": 9, "presets": ()})
    evaluate(small, tmp_path, reporter=Reporter(), figures=False)
    shown = capsys.readouterr().err
    assert "evaluating on the 5 images that there are" in shown and "40/40" in shown
