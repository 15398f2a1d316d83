# mypy: ignore-errors
"""How kernels read and write a tensor: source text for `library`, as `math32` is.

Where `EVEN`, all blocks are whole. Elsewhere the last one is not, and it alone looks at every element: the others read
vectors of 16 bytes, which a mask would take apart.
"""

import triton
import triton.language as tl


@triton.jit
def elements(BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """The elements of this program in storage order."""
    program = tl.program_id(0)
    if WIDE:
        program = program.to(tl.int64)
    return program * BLOCK + tl.arange(0, BLOCK)


@triton.jit
def read(pointer, offset, inside, EVEN: tl.constexpr):
    if EVEN:
        values = tl.load(pointer + offset)
    else:
        if tl.program_id(0) + 1 < tl.num_programs(0):
            values = tl.load(pointer + offset)
        else:
            values = tl.load(pointer + offset, mask=inside, other=0.0)
    return values


@triton.jit
def write(pointer, offset, values, inside, EVEN: tl.constexpr):
    if EVEN:
        tl.store(pointer + offset, values)
    else:
        if tl.program_id(0) + 1 < tl.num_programs(0):
            tl.store(pointer + offset, values)
        else:
            tl.store(pointer + offset, values, mask=inside)


@triton.jit
def added(a, b):
    """How partial sums are joined; `tl.sum` itself cannot be interpreted once it has been compiled."""
    return a + b


@triton.jit
def total(values, inside, AXIS: tl.constexpr, EVEN: tl.constexpr):
    """The sum along an axis of what lies inside, in a fixed order."""
    if EVEN:
        return tl.reduce(values, AXIS, added)
    else:
        return tl.reduce(tl.where(inside, values, 0.0), AXIS, added)


@triton.jit
def read_tile(pointer, offset, inside, EVEN: tl.constexpr):
    if EVEN:
        values = tl.load(pointer + offset)
    else:
        values = tl.load(pointer + offset, mask=inside, other=0.0)
    return values


@triton.jit
def write_tile(pointer, offset, values, inside, EVEN: tl.constexpr):
    if EVEN:
        tl.store(pointer + offset, values)
    else:
        tl.store(pointer + offset, values, mask=inside)


@triton.jit
def channel(
    pointer,
    stride,
    row,
    column,
    rows,
    columns,
    channels,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    BY_ROW: tl.constexpr,
):
    """The parameter of every element of a tile: rows are channels in turn, or columns are channels."""
    if BY_ROW:
        values = tl.load(pointer + (row % channels) * stride, mask=row < rows, other=1.0)[:, None]
    else:
        values = tl.load(pointer + column * stride, mask=column < columns, other=1.0)[None, :]
    return tl.broadcast_to(values, (ROWS, COLUMNS))


@triton.jit
def store_sums(
    pointer,
    values,
    inside,
    row,
    column,
    row_block,
    column_block,
    rows,
    columns,
    BY_ROW: tl.constexpr,
    EVEN: tl.constexpr,
):
    """The sums of a tile, one per channel."""
    if BY_ROW:
        tl.store(pointer + column_block * rows + row, total(values, inside, 1, EVEN), mask=row < rows)
    else:
        tl.store(pointer + row_block * columns + column, total(values, inside, 0, EVEN), mask=column < columns)
