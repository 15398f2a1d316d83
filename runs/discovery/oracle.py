"""How much a search could have found: the best of a whole space, trained to the last function.

    symact bench build --task image-fit --grammar inr --space small --output OUT/image-fit.parquet
    python runs/discovery/oracle.py image-fit --table OUT/image-fit.parquet --output OUT

The table has one training of every distinct function of the space. Its best `SELECTED` are trained on three further
seeds, the best `SCALED` of those with other frequencies too, and the best three meet the tuned champions on fresh
seeds and on the test problem, as in `discover.py`, whose trainings in OUT are used. What comes out is the headroom of
that space: no search in it can be expected to do better. Writes `TASK/oracle.json` beside this file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from discover import HERE, Family

from symact.bench.building import partial
from symact.bench.table import Table
from symact.expr.tree import candidate_text
from symact.files import write_text

SELECTED, SCALED = 60, 10


class Whole(Family):
    """A family of which every function of a space was trained once."""

    scaled = SCALED

    def __init__(self, name: str, folder: Path, table: Table):
        super().__init__(name, folder)
        # Higher is better in every table; a training that failed is NaN and comes last.
        self.table, self.ranked = table, np.argsort(-table.scores[:, 0])

    def found(self) -> dict[str, list[str]]:
        """The best of the table."""
        parsed = self.table.parsed
        return {"whole space": [candidate_text(parsed[row]) for row in self.ranked[:SELECTED]]}


def main() -> None:
    """Select from the table, train the finals, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--table", type=Path, required=True, help="of `symact bench build`; a part of one will do")
    parser.add_argument("--output", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--seeds", type=int, default=20, help="fresh ones, of the finals")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table.read(arguments.table) if arguments.table.exists() else partial(arguments.table)
    family = Whole(arguments.task, arguments.output, table)
    document = family.report(arguments.seeds) | {"functions": len(table)}
    write_text(HERE / family.name / "oracle.json", json.dumps(document, indent=1) + "\n")
    print(json.dumps({key: document[key]["differences"] for key in ("search", "test")}, indent=1))


if __name__ == "__main__":
    main()
