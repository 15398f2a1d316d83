"""Compare all published functions and write what is made from their table: `python tools/atlas.py`.

Writes `symact/catalog/data/index.npz` (classes, affine maps, curves). Run it after a change of a file in
`symact/catalog/data`; it takes half a minute. Tests say when it is due.
"""

from __future__ import annotations

from symact.catalog.index import make, write


def main() -> None:
    """Make everything anew."""
    write(make())


if __name__ == "__main__":
    main()
