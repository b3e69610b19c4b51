"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass
from aleph.cli.options import DEFAULT_MODEL_HELP, given


def _words(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else tuple(filter(None, (w.strip() for w in text.split(","))))


def evaluate(
    model: Annotated[str, typer.Argument(help=DEFAULT_MODEL_HELP)],
    data: Annotated[
        list[Path], typer.Argument(help="Folders or zips of images, or CelebA's img_align_celeba.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; a run in it is gone on with.")],
    images: Annotated[int | None, typer.Option(help="Images to take, at most (500).")] = None,
    masks: Annotated[
        str | None,
        typer.Option(help="Comma-separated names of generated masks, or pictures (all five)."),
    ] = None,
    weightings: Annotated[
        str | None, typer.Option(help="Comma-separated; 'preset' is the preset's own (all four).")
    ] = None,
    norms: Annotated[str | None, typer.Option(help="Comma-separated: l1, l2, preset (l1).")] = None,
    presets: Annotated[str | None, typer.Option(help="Comma-separated (balanced).")] = None,
    blendings: Annotated[
        str | None,
        typer.Option(help="Comma-separated; one search serves all (paste,poisson,preset)."),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: mean, telea, navier-stokes, biharmonic (those four), yeh2017, "
            "yeh2017@MODEL."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of every preset's search.")] = None,
    starts: Annotated[int | None, typer.Option(help="Starts of every preset's search.")] = None,
    overrides: Annotated[
        str | None, typer.Option(help="Comma-separated NAME=VALUE in place of the presets' own.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of masks, starts and resampling.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels (the model's).")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="celeba: 500 held-out images at 64×64 centre crops.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images searched together (16).")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    extra_metrics: Annotated[
        str | None, typer.Option(help="lpips, fid: need optional packages and downloaded weights.")
    ] = None,
    shown: Annotated[int | None, typer.Option(help="Images in the figures (8).")] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the figures.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Measure what weighting the context is worth; killed and called again, it goes on."""
    from aleph.evaluation import EvaluationPlan, parse_overrides
    from aleph.evaluation import evaluate as run_evaluation
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
    changes = parse_overrides(_words(overrides) or ()) | given(steps=steps, starts=starts)
    plan = EvaluationPlan(model, tuple(map(str, data)), overrides=changes, **fields)
    summary = run_evaluation(
        plan, out, device=device, workers=workers, reporter=Reporter(not quiet), figures=figures
    )
    typer.echo(f"evaluated {summary.images} images; written:")
    for path, what in summary.files.items():
        typer.echo(f"  {path}  {what}")
