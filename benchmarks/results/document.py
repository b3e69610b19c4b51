"""docs/results.md: the tables of `aleph evaluate`, joined over the stages by `template.md`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aleph.evaluation import sections
from aleph.evaluation.findings import in_short
from aleph.evaluation.markdown import listed, number, table
from aleph.evaluation.plan import Setting, own_settings
from aleph.evaluation.statistics import CONFIDENCE, RESAMPLES
from aleph.evaluation.summary import Comparison, Mean, Ranked, Summary
from benchmarks.document import made_by
from benchmarks.results.stages import Stage

TEMPLATE = Path(__file__).with_name("template.md")

PUBLISHED_MASKS = ("center", "pattern", "random", "half")
PUBLISHED = {
    "Yeh et al. 2017": (19.4, 17.4, 22.8, 13.7),
    "a Context Encoder, in the same paper": (21.3, 19.2, 20.6, 15.5),
}
"""PSNR of the whole image in dB, CelebA at 64×64, as given in arXiv 1607.07539."""

PUBLISHED_SIDE = 64
"""Side of their images in pixels; ours of another size are not set beside them."""

Found = Sequence[tuple[Stage, Summary]]


def document(
    found: Found, missing: Sequence[str], links: Sequence[tuple[str, str]], command: str
) -> str:
    """Return the document.

    Args:
        found: The stages that have finished images, in their order.
        missing: Names of the stages that have not.
        links: Figures: file relative to the document, and caption.
        command: The command that makes it.
    """
    weightings, norms, beside = (
        [summary for stage, summary in found if stage.about == about]
        for about in ("weightings", "norms", "baselines")
    )
    own = [
        dataclasses.replace(s, leads=[lead for lead in s.leads if is_own(s, lead.first)])
        for s in weightings
    ]
    pasted = [_only(s, lambda setting: setting.blending == "paste") for s in norms]
    pasted = [dataclasses.replace(s, rankings=[]) for s in pasted]  # ranked on more images above
    l2 = [_only(s, lambda setting: setting.norm == "l2") for s in norms]
    details = [_only(s, lambda setting: setting.blending == "paste") for s in weightings[:1]]
    plan = found[0][1].plan
    text = TEMPLATE.read_text(encoding="utf-8").format(
        made_by=made_by(command),
        data=", ".join(f"`{Path(path).name}`" for path in plan.data),
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        batch=plan.batch_size,
        precision={"bf16": "bfloat16", "fp32": "float32"}[plan.precision],
        stages=_stages(found),
        notes=_notes(found, missing),
        in_short=in_short([*own, *pasted, *beside]),
        rankings=sections.rankings(weightings),
        details=sections.ranking_details(details),
        gains=sections.gains(weightings),
        steps=sections.steps(weightings),
        norms=sections.norms(pasted),
        leads=sections.leads(own),
        baselines=sections.baselines(beside),
        **_published([*weightings, *beside]),
        figures="\n\n".join(f"![{caption}]({file})\n\n*{caption}.*" for file, caption in links),
        weightings=sections.weighting_tables([*weightings, *l2]),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def is_own(summary: Summary, setting: Setting) -> bool:
    """Return whether a search has the weighting that its preset has for this model."""
    own = own_settings(setting.method, summary.plan.model)
    return setting.weighting == own.search.weighting


def _only(summary: Summary, wanted: Callable[[Setting], bool]) -> Summary:
    """Keep what is about settings of one kind, and the comparisons whose first is."""

    def kept(items: Sequence[Mean | Ranked]) -> list[Mean | Ranked]:
        return [item for item in items if wanted(item.setting)]

    comparisons: list[Comparison] = [c for c in summary.comparisons if wanted(c.first)]
    means, rankings = kept(summary.means), kept(summary.rankings)
    changes = {"means": means, "rankings": rankings, "comparisons": comparisons}
    return dataclasses.replace(summary, **changes)  # type: ignore[arg-type]


def _stages(found: Found) -> str:
    rows = [
        (
            f"`{stage.name}`",
            sections.model_name(summary),
            f"{summary.images} at {summary.resolution}²",
            str(summary.left) if summary.left else "",
            ", ".join(sections.mask_labels([summary])),
            ", ".join(summary.plan.norms),
            "; ".join(summary.devices),
        )
        for stage, summary in found
    ]
    head = ("stage", "model", "images", "not done yet", "masks", "norms", "times taken on")
    return table(head, rows)


def _notes(found: Found, missing: Sequence[str]) -> str:
    names = listed([f"`{name}`" for name in missing])
    unfinished = (
        "**A stage with images left rests on the first by name, which are no random sample.**"
    )
    lacking = f"**Not run yet, and not in this document:** {names}."
    notes = [unfinished if any(s.left for _, s in found) else "", lacking if missing else ""]
    return "\n\n".join(filter(None, notes))


def _published(summaries: Sequence[Summary]) -> dict[str, str]:
    """Return the table of published figures beside ours, and what exact pixels are worth."""
    rows: dict[str, dict[str, float]] = {
        name: dict(zip(PUBLISHED_MASKS, values, strict=True)) for name, values in PUBLISHED.items()
    }
    lifts: dict[str, list[float]] = {mask: [] for mask in PUBLISHED_MASKS}
    for summary in summaries:
        for mean in summary.means:
            if summary.resolution == PUBLISHED_SIDE and mean.mask in lifts:
                lifts[mean.mask].append(mean.psnr_image - mean.psnr_hole)
                if name := _published_name(summary, mean.setting):
                    rows.setdefault(name, {}).setdefault(mean.mask, mean.psnr_image)
    cells = [
        (name, *(number(row.get(mask), 1) for mask in PUBLISHED_MASKS))
        for name, row in rows.items()
    ]
    shares = [f"{mask} {number(float(np.mean(v)), 1)}" for mask, v in lifts.items() if v]
    head = ("whole image, PSNR in dB", *PUBLISHED_MASKS)
    return {"published": table(head, cells), "lifts": "; ".join(shares)}


def _published_name(summary: Summary, setting: Setting) -> str:
    """Return what a setting is called beside published figures; nothing if it is not shown."""
    if setting.model:
        return f"Yeh's procedure, `{Path(setting.model).name}`"
    if setting.method == "telea":
        return "OpenCV Telea, the same images"
    if (setting.norm, setting.blending) == ("l1", "poisson") and is_own(summary, setting):
        return f"{sections.model_name(summary)}, `{setting.label}`, `{setting.weighting}`, Poisson"
    return ""
