"""What makes shapes a space that can be counted: checked before anything is.

In: shapes and a grammar. Out: nothing, or one `InputError` that says what to write instead.
"""

from __future__ import annotations

from symact.errors import InputError
from symact.expr.operators import ROOT, Limits, Vocabulary
from symact.expr.shape import Shape

MAXIMUM_TREE_DEPTH = 8
MAXIMUM_TREE_SIZE = 100
# Sets of operators that may be forbidden below a place: of `tree(x)`, where each costs a count of every tree, and else.
MAXIMUM_BANS = (500, 20_000)


def check_shapes(shapes: tuple[Shape, ...], grammar: Vocabulary) -> None:
    """Refuse shapes that are no space within the limits of their grammar.

    Raises:
        InputError: no shape, one twice, `tree(x)` beside what it holds already, a tree without limits, or too much
            forbidden at any depth to be counted.
    """
    limits = grammar.limits
    if not shapes:
        raise InputError('the space is empty: it has no shape; expected one or more, such as ["unary(x)"]')
    for index, shape in enumerate(shapes):
        if shape in shapes[:index]:
            raise InputError(f"the shape {shape} stands twice")
    if any(shape.kind == "tree" for shape in shapes):
        _check_tree(shapes, limits)
    _check_bans(shapes, grammar)


def _check_tree(shapes: tuple[Shape, ...], limits: Limits) -> None:
    tree = max((shape for shape in shapes if shape.kind == "tree"), key=lambda shape: len(shape.children))
    inside = [
        shape
        for shape in shapes
        if shape != tree
        and not shape.is_leaf
        and all(part.kind != "nary" and (not part.is_leaf or part in tree.children) for part in shape.walk())
    ]
    if inside:
        raise InputError(f"{tree} already holds {inside[0]}; leave one of them out")
    if limits.max_size is None and (limits.max_depth is None or limits.max_depth > MAXIMUM_TREE_DEPTH):
        raise InputError(f"{tree} needs [limits] max_size, or max_depth of at most {MAXIMUM_TREE_DEPTH}")
    if limits.max_size is not None and limits.max_size > MAXIMUM_TREE_SIZE:
        raise InputError(f"{tree} needs [limits] max_size of at most {MAXIMUM_TREE_SIZE}")


def _check_bans(shapes: tuple[Shape, ...], grammar: Vocabulary) -> None:
    """Refuse limits that forbid so much at any depth, operator by operator, that counting would not end."""
    limits, is_open = grammar.limits, any(shape.kind == "tree" for shape in shapes)
    depths = [shape.depth for shape in shapes]
    if is_open:
        depths.append(min(most for most in (limits.max_depth, limits.max_size) if most is not None))
    deep = {grammar.inside(outer).below for outer, _ in limits.forbid_below}
    most = MAXIMUM_BANS[not is_open]
    found = latest = {ROOT.below}
    for _ in range(max(depths) - 1):
        latest = {below | more for below in latest for more in deep} - found
        found = found | latest
        if len(found) > most:
            raise InputError(
                f"[limits] forbid at any depth makes more than {most:,} combinations to count; forbid the same "
                "operators inside several outer ones, only direct nesting, or in fewer operators"
            )
