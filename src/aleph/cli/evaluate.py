"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aleph.cli.options import DATA_HELP, MODEL_HELP, Cluster, Device, Quiet, Workers, given
from aleph.imports import importing

if TYPE_CHECKING:
    from aleph.evaluation import Summary

Model = Annotated[str, typer.Argument(help=MODEL_HELP)]
Data = Annotated[list[Path], typer.Argument(help=DATA_HELP)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder; a run in it is gone on with.")]
Images = Annotated[int | None, typer.Option(help="Images to take, at most (500).")]
Masks = Annotated[
    str | None,
    typer.Option(help="Comma-separated names of generated masks, or pictures (all five)."),
]
Weightings = Annotated[
    str | None, typer.Option(help="Comma-separated; 'preset' is the preset's own (all four).")
]
Norms = Annotated[str | None, typer.Option(help="Comma-separated: l1, l2, preset (l1).")]
Presets = Annotated[str | None, typer.Option(help="Comma-separated (balanced).")]
Blendings = Annotated[
    str | None,
    typer.Option(help="Comma-separated; one search serves all (paste,poisson,preset)."),
]
Baselines = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated: mean, telea, navier-stokes, biharmonic (those four), yeh2017, "
        "yeh2017@MODEL."
    ),
]
Steps = Annotated[int | None, typer.Option(help="Steps of every preset's search.")]
Starts = Annotated[int | None, typer.Option(help="Starts of every preset's search.")]
Overrides = Annotated[
    str | None, typer.Option(help="Comma-separated NAME=VALUE in place of the presets' own.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of masks, starts and resampling.")]
Resolution = Annotated[int | None, typer.Option(help="Side of the images in pixels (the model's).")]
Protocol = Annotated[
    str | None, typer.Option(help="celeba: 500 held-out images at 64×64 centre crops.")
]
BatchSize = Annotated[int | None, typer.Option(help="Images searched together (16).")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16.")]
ExtraMetrics = Annotated[
    str | None, typer.Option(help="lpips, fid: need optional packages and downloaded weights.")
]
Shown = Annotated[int | None, typer.Option(help="Images in the figures (8).")]
Figures = Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the figures.")]


def evaluate(
    model: Model,
    data: Data,
    out: Out,
    images: Images = None,
    masks: Masks = None,
    weightings: Weightings = None,
    norms: Norms = None,
    presets: Presets = None,
    blendings: Blendings = None,
    baselines: Baselines = None,
    steps: Steps = None,
    starts: Starts = None,
    overrides: Overrides = None,
    seed: Seed = None,
    resolution: Resolution = None,
    protocol: Protocol = None,
    batch_size: BatchSize = None,
    precision: Precision = None,
    extra_metrics: ExtraMetrics = None,
    shown: Shown = None,
    figures: Figures = True,
    device: Device = "auto",
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> None:
    """Measure what weighting the context is worth; killed and called again, it goes on."""
    with importing(program=True):
        from aleph import evaluation
        from aleph.progress import Reporter

    fields = given(
        images=images,
        masks=_words(masks),
        weightings=_words(weightings),
        norms=_words(norms),
        presets=_words(presets),
        blendings=_words(blendings),
        baselines=_words(baselines),
        seed=seed,
        resolution=resolution,
        protocol=protocol,
        batch_size=batch_size,
        precision=precision,
        extra_metrics=_words(extra_metrics),
        shown=shown,
    )
    changes = evaluation.parse_overrides(_words(overrides) or ())
    changes |= given(steps=steps, starts=starts)
    plan = evaluation.EvaluationPlan(model, tuple(map(str, data)), overrides=changes, **fields)
    how = given(device=device, workers=workers, cluster=cluster, figures=figures)
    _show(evaluation.evaluate(plan, out, reporter=Reporter(not quiet), **how))


def _words(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else tuple(filter(None, (w.strip() for w in text.split(","))))


def _show(summary: Summary) -> None:
    typer.echo(f"evaluated {summary.images} images; written:")
    for path, what in summary.files.items():
        typer.echo(f"  {path}  {what}")
