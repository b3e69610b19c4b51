"""Evaluation of a model: its fills in many settings, compared with confidence intervals."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from aleph.errors import UnfinishedError
from aleph.evaluation.figures import check_matplotlib, draw_figures
from aleph.evaluation.inputs import read_inputs
from aleph.evaluation.learned_metrics import check_extras, frechet_inception_distance
from aleph.evaluation.parallel import run_plan
from aleph.evaluation.plan import ORIGINAL, EvaluationPlan, mask_label, parse_overrides
from aleph.evaluation.report import write_report
from aleph.evaluation.store import fill_folder, open_folder
from aleph.evaluation.summary import Summary, summarise
from aleph.files import working_alone
from aleph.models.device import choose_device
from aleph.progress import Reporter
from aleph.workers.choose import WorkersWanted

__all__ = ["EvaluationPlan", "Summary", "evaluate", "parse_overrides"]


def evaluate(
    plan: EvaluationPlan,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    workers: int | None = 1,
    cluster: str | None = None,
    reporter: Reporter | None = None,
    figures: bool = True,
    seconds: float | None = None,
) -> Summary:
    """Run a plan, or go on where it stopped, and write its table, summary and figures.

    Written into `out`: `plan.json`, `images.txt` (the images), `results.jsonl` (a row per image ×
    mask × setting), `summary.md`, `.csv` and `.json`, `differences.csv`, `steps.csv`, the fills of
    the first images in `fills/`, and figures. Called again with the same plan it does only what is
    missing and gives the same rows, times excepted, as a run that was never stopped.

    Args:
        plan: What to evaluate.
        out: Folder; made if it is not there.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        workers: Processes, which share the processors of this machine, or actors of a cluster;
            None for as many as suit it.
        cluster: Address of a Ray cluster whose nodes all see `out`, or `auto`; None for this
            machine.
        reporter: Where progress is shown; silent if None.
        figures: Whether to draw.
        seconds: Bound of the time for filling; the summary is then of the images that are finished
            (`Summary.left` are not), and the same call goes on. 0 summarises what is there.

    Raises:
        InputError: if data, masks, device or workers cannot be used, or `out` holds another
            evaluation.
        ModelError: if a model cannot be loaded.
        MissingDependencyError: if a figure or an extra metric needs a package that is not there.
        OutputError: if `out` cannot be written, or another process is writing there.
        UnfinishedError: if no image was finished within `seconds`.
    """
    wanted = WorkersWanted(workers, cluster)
    place = str(choose_device(device))
    check_extras(plan.extra_metrics)
    if figures:
        check_matplotlib()
    reporter = reporter or Reporter(enabled=False)
    inputs = read_inputs(plan, reporter)
    folder = open_folder(plan, inputs, out)
    with working_alone(folder):
        rows = run_plan(
            plan, inputs, folder, device=place, workers=wanted, reporter=reporter, seconds=seconds
        )
        if not rows:
            raise UnfinishedError(f"no image of '{folder}' is finished yet: the same call goes on")
        left = len(inputs.images) - len({row["image"] for row in rows})
        fid = {} if left else _inception(plan, folder, place)  # it reads the folders of all fills
        summary = dataclasses.replace(summarise(plan, rows, inputs.resolution, fid), left=left)
        files = write_report(summary, folder)
        if figures:
            files |= draw_figures(summary, rows, inputs, folder, place)
    return dataclasses.replace(summary, files=files)


def _inception(plan: EvaluationPlan, folder: Path, device: str) -> dict[tuple[str, str], float]:
    """Return the FID of every mask and setting, by their names, where it is asked for."""
    if "fid" not in plan.extra_metrics:
        return {}
    return {
        (mask_label(mask), setting.name): frechet_inception_distance(
            fill_folder(folder, mask, ORIGINAL), fill_folder(folder, mask, setting), device
        )
        for mask in plan.masks
        for setting in plan.settings()
        if setting != ORIGINAL
    }
