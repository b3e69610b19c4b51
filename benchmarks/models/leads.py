"""Lead of a model's fills over the best classical fill, and the realism of their texture.

    python -m benchmarks leads test.zip --out evaluation [--images 500] [--doc docs/models.md]

fills every image under every mask with the presets of each model at its own resolution and with
OpenCV Telea, Navier-Stokes and scikit-image biharmonic, and prints a Markdown table per model. With
`--doc` the tables replace what stands between the comments `<!-- leads -->` and `<!-- /leads -->`
of that file. The lead shown is that of the last preset. Killed and called again it goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from aleph.evaluation import EvaluationPlan, Summary, evaluate
from aleph.evaluation.markdown import table
from aleph.evaluation.summary import Mean
from aleph.progress import Reporter
from benchmarks.document import replace_section
from benchmarks.options import PROCESSORS, options_parser, words

NAMES = {
    "telea": "OpenCV Telea",
    "navier-stokes": "OpenCV Navier-Stokes",
    "biharmonic": "scikit-image biharmonic",
}


def run(model: str, data: tuple[str, ...], options: argparse.Namespace) -> Summary:
    """Evaluate one model."""
    plan = EvaluationPlan(
        model,
        data,
        images=options.images,
        weightings=("preset",),
        norms=("preset",),
        blendings=("preset",),
        presets=tuple(words(options.presets)),
        baselines=tuple(NAMES),
        precision=options.precision,
    )
    return evaluate(
        plan,
        options.out / Path(model).name,
        workers=options.workers,
        reporter=Reporter(enabled=True),
        figures=False,
    )


def leads_table(summary: Summary) -> str:
    """Return a model's table: PSNR, lead with interval, texture."""
    masks = list(dict.fromkeys(mean.mask for mean in summary.means))
    best = summary.plan.presets[-1]

    def means(method: str) -> list[Mean]:
        return [
            next(m for m in summary.means if m.mask == mask and m.setting.method == method)
            for mask in masks
        ]

    def row(what: str, values: Iterable[str], seconds: str = "") -> list[str]:
        return [what, *values, seconds]

    leads = {c.mask: c for c in summary.leads if c.first.method == best}
    classical = {mask: leads[mask].second.method for mask in masks}
    lines = []
    for method in (*reversed(summary.plan.presets), *NAMES):
        found = means(method)
        taken = sum(mean.seconds for mean in found) / len(found)
        name = NAMES.get(method, f"`{method}`")
        lines.append(row(name, (f"{mean.psnr_hole:.2f}" for mean in found), f"{taken:.3f}"))
    difference = [leads[mask].difference for mask in masks]
    lines += [
        row(f"lead of `{best}` over the best", (f"**{d.mean:+.2f}**" for d in difference)),
        row("its 95 % interval", (f"{d.low:.2f} to {d.high:.2f}" for d in difference)),
        row(f"texture of `{best}`", (f"{mean.texture_distance:.2f}" for mean in means(best))),
        row(
            "texture of the best classical",
            (f"{means(classical[m])[i].texture_distance:.2f}" for i, m in enumerate(masks)),
        ),
        row(f"sharpness of `{best}`", (f"{mean.sharpness:.2f}" for mean in means(best))),
    ]
    side = f"{summary.resolution}×{summary.resolution}"
    title = f"`{Path(summary.plan.model).name}`, {summary.images} images at {side}"
    where = f"{summary.plan.precision}, {', '.join(summary.devices)}"
    return f"{title} ({where}):\n\n{table(row('', masks, 's per image'), lines)}\n"


def main() -> None:
    """Parse, evaluate, print, write."""
    options = options_parser(
        __doc__,
        out=None,
        doc=None,
        models="faces-64,faces-128",
        images=500,
        presets="fast,balanced",
        precision="bf16",
        workers=PROCESSORS,
    ).parse_args()
    data = tuple(options.data)
    text = "\n".join(leads_table(run(model, data, options)) for model in words(options.models))
    print(text)
    if options.doc:
        replace_section(options.doc, "leads", text)
