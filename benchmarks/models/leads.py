"""How far a model's fills lead over the best classical fill, and how real their texture is.

    python -m benchmarks leads test.zip --out evaluation [--images 500] [--doc docs/models.md]

fills every image under every mask with the presets of each model at its own resolution and with
OpenCV Telea, Navier-Stokes and scikit-image biharmonic, and prints a Markdown table per model. With
`--doc` the tables replace what stands between the comments `<!-- leads -->` and `<!-- /leads -->`
of that file. Killed and called again it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from aleph.evaluation import EvaluationPlan, Summary, evaluate
from aleph.evaluation.summary import Mean
from aleph.files import replacing
from aleph.progress import Reporter

OPEN, CLOSE = "<!-- leads -->\n", "<!-- /leads -->"

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
        presets=tuple(options.presets.split(",")),
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


def _cells(values: Iterable[str]) -> str:
    return f"| {' | '.join(values)} |"


def table(summary: Summary) -> str:
    """Return a model's table: PSNR, lead with interval, texture."""
    masks = list(dict.fromkeys(mean.mask for mean in summary.means))
    best = summary.plan.presets[-1]

    def means(method: str) -> list[Mean]:
        return [
            next(m for m in summary.means if m.mask == mask and m.setting.method == method)
            for mask in masks
        ]

    def row(what: str, values: Iterable[str], seconds: str = "") -> str:
        return _cells([what, *values, seconds])

    leads = {c.mask: c for c in summary.leads if c.first.method == best}
    classical = {mask: leads[mask].second.method for mask in masks}
    lines = [row("", masks, "s per image"), _cells(["---"] * (len(masks) + 2))]
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
    return "\n".join([f"{title} ({where}):", "", *lines, ""])


def insert(path: Path, text: str) -> None:
    """Replace what stands between the two comments of a document."""
    document = path.read_text(encoding="utf-8")
    before, _, rest = document.partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{OPEN}{text}{CLOSE}{after}", encoding="utf-8")


def main() -> None:
    """Parse, evaluate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--models", default="faces-64,faces-128")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--presets", default="fast,balanced", help="the last one's lead is shown")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--doc", type=Path)
    options = parser.parse_args()
    tables = [run(model, tuple(options.data), options) for model in options.models.split(",")]
    text = "\n".join(map(table, tables))
    print(text)
    if options.doc:
        insert(options.doc, text)
