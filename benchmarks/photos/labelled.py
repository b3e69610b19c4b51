"""How well damage is found in really damaged photographs whose damage somebody has marked.

    python -m benchmarks labelled FOLDER_OR_ZIP [--model damage-finder] [--sensitivity 0.5]

The folder or zip is one of those that `aleph train --model damage --labelled` takes. None is held
out by its name: measure on photographs that the finder was not trained on. What a mask leaves open
does not count.
"""

from __future__ import annotations

import argparse

from aleph.config import SENSITIVITY
from aleph.damage.find import marked
from aleph.damage.tiles import damage_probability
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
from aleph.training.samples.labelled import read_labelled
from benchmarks.photos.damage_scores import Counts


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", help="folder or zip of photos/ and masks/")
    parser.add_argument("--model", default=DEFAULT_DAMAGE_MODEL)
    parser.add_argument("--sensitivity", type=float, default=SENSITIVITY)
    options = parser.parse_args()
    photos = read_labelled(options.photographs)
    model, total = load_damage_model(options.model), Counts()
    print("| photograph | precision | recall | F1 |\n| --- | --- | --- | --- |")
    for photo in photos:
        hole = marked(damage_probability(photo.image, model), options.sensitivity)
        counts = Counts()
        for some in (counts, total):
            some.add(hole, photo.label)
        print(counts.row(photo.name), flush=True)
    print(total.row("**all**"))


if __name__ == "__main__":
    main()
