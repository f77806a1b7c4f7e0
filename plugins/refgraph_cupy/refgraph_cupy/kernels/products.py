"""Products of matrices, and of arrays summed over any axes: all by products of stacks of matrices.

Floating and complex ones are cuBLAS's; integers and truth values, of which it has none, have a kernel of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

import refgraph.tensor as T
from refgraph.backend import Apply, Constant, Dot, Einsum, Fused, Gemm, Graph, MatMul, TensorDot, TensorType
from refgraph_cupy.blas import is_laid, product_of
from refgraph_cupy.device import Array, Device, current
from refgraph_cupy.kernels.construct import clear
from refgraph_cupy.kernels.elementwise import NDIM as FEW_AXES
from refgraph_cupy.kernels.groups import group
from refgraph_cupy.kernels.shape import sum_over
from refgraph_cupy.layout import broadcast, collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.moving import contiguous, copied
from refgraph_cupy.writing import written

_TILE = 16


def _dtype(node: Apply) -> str:
    out: Any = node.outputs[0]
    return str(out.type.dtype)


def _as(device: Device, x: Array, dtype: str) -> Array:
    return x if x.dtype == dtype else copied(device, x, dtype)


# --- stacks of matrices


def product(device: Device, a: Array, b: Array, c: Array, alpha: complex = 1, beta: complex = 0) -> None:
    """c = alpha * (a @ b) + beta * c, of stacks of matrices, three axes each, of one dtype; c lies as C lays it.

    Integers and truth values have alpha 1 and beta 0. Raises ValueError where lengths do not fit.
    """
    if a.shape[2] != b.shape[1]:
        raise ValueError(f"{a.shape[2]} columns for {b.shape[1]} rows")
    if c.size == 0:
        return
    if a.shape[2] == 0 and beta == 0:
        clear(device, c)
    elif a.shape[2] == 0:
        raise ValueError("a product of no terms, added")
    elif c.dtype.kind in "fc":
        a, b = [x if is_laid(x) is not None else contiguous(device, x) for x in (a, b)]
        device.multiply(product_of(device, a, b, c, alpha, beta))
    else:
        _multiply(device, a, b, c)


def _multiply(device: Device, a: Array, b: Array, c: Array) -> None:
    """The same by a kernel: a block has a tile of c, and takes tiles of a and b along with it."""
    dtype = str(c.dtype)
    text = _PRODUCT.format(dtype=dtype, tile=_TILE, plus="||" if dtype == "bool" else "+")
    count, m, n = c.shape
    arguments = [m, n, a.shape[2], -(-n // _TILE), device.address(c)]
    for x in (a, b):
        arguments += [device.address(x), *[int(s) for s in x.strides]]
    tiles = -(-m // _TILE) * -(-n // _TILE)
    for first in range(0, count, 65535):
        many = min(65535, count - first)
        arguments[4] = device.address(c) + first * m * n * c.dtype.itemsize
        arguments[5] = device.address(a) + first * int(a.strides[0])
        arguments[9] = device.address(b) + first * int(b.strides[0])
        device.launch(written("product", text), (tiles, many, 1), (_TILE, _TILE, 1), np.array(arguments, np.int64))


_PRODUCT = """
struct Arguments {{
    int64 m, n, k, across;
    {dtype} *to;
    struct {{
        const char *data;
        int64 matrix, row, column;
    }} a, b;
}};

extern "C" __global__ void __launch_bounds__({tile} * {tile}) KERNEL(const Arguments a) {{
    __shared__ {dtype} left[{tile}][{tile}], right[{tile}][{tile}];
    const int x = threadIdx.x, y = threadIdx.y;
    const int64 row = blockIdx.x / a.across * {tile} + y, column = blockIdx.x % a.across * {tile} + x;
    const char *const from = a.a.data + blockIdx.y * a.a.matrix, *const with = a.b.data + blockIdx.y * a.b.matrix;
    {dtype} z = {dtype}(0);
    for (int64 k = 0; k < a.k; k += {tile}) {{
        left[y][x] = {dtype}(0), right[y][x] = {dtype}(0);
        if (row < a.m && k + x < a.k)
            left[y][x] = *(const {dtype} *)(from + row * a.a.row + (k + x) * a.a.column);
        if (k + y < a.k && column < a.n)
            right[y][x] = *(const {dtype} *)(with + (k + y) * a.b.row + column * a.b.column);
        __syncthreads();
        for (int i = 0; i < {tile}; i++)
            z = {dtype}(z {plus} {dtype}(left[y][i] * right[i][x]));
        __syncthreads();
    }}
    if (row < a.m && column < a.n)
        a.to[(blockIdx.y * a.m + row) * a.n + column] = z;
}}
"""


def stacked(device: Device, x: Array, shape: Sequence[int]) -> Array:
    """Matrices along the last two axes of an array, broadcast to a stack of this shape, as one of three axes: a view
    where it lies so."""
    whole = device.broadcast(x, (*shape, *x.shape[-2:]))
    return grouped(device, whole, (len(shape), 1, 1))


def grouped(device: Device, x: Array, counts: Sequence[int]) -> Array:
    """So many neighbouring axes as one, each time; a view where these lie as one."""
    lengths, first, is_view = [], 0, True
    for count in counts:
        shape = x.shape[first : first + count]
        lengths.append(size(shape))
        is_view &= len(collapsed(shape, [over(x, x.shape)[first : first + count]])[0]) <= 1
        first += count
    return (x if is_view else copied(device, x)).reshape(lengths)


@makes(Dot)
def dot(node: Apply) -> Run:
    """Of two vectors, a reduction of the products of their elements."""
    dtype = _dtype(node)

    def make(x: Array, y: Array) -> Array:
        device = current()
        x, y = _as(device, x, dtype), _as(device, y, dtype)
        if x.shape[-1] != y.shape[0]:
            raise ValueError(f"shapes {x.shape} and {y.shape} do not fit")
        if x.ndim == y.ndim == 1:
            return summed_products(dtype, 1, 1)(x, y)
        shape = (*x.shape[:-1], *y.shape[1:])
        a = x[None, None] if x.ndim == 1 else x[None]
        b = y[None, :, None] if y.ndim == 1 else y[None]
        out = device.empty((1, a.shape[1], b.shape[2]), dtype)
        product(device, a, b, out)
        return out.reshape(shape)

    return make


@makes(MatMul)
def matmul(node: Apply) -> Run:
    dtype = _dtype(node)

    def make(x: Array, y: Array) -> Array:
        device = current()
        return multiplied(device, _as(device, x, dtype), _as(device, y, dtype))

    return make


def multiplied(device: Device, x: Array, y: Array) -> Array:
    """The products of matrices along the last two axes. Where there is one y for all x, these are one matrix."""
    shape = broadcast(x.shape[:-2], y.shape[:-2])
    out = device.empty((*shape, x.shape[-2], y.shape[-1]), x.dtype)
    if size(y.shape[:-2]) == 1 and shape == x.shape[:-2]:
        rows = grouped(device, x, (x.ndim - 1, 1))[None]
        product(device, rows, y.reshape((1, *y.shape[-2:])), out.reshape((1, rows.shape[1], out.shape[-1])))
    else:
        a, b = stacked(device, x, shape), stacked(device, y, shape)
        product(device, a, b, out.reshape((size(shape), *out.shape[-2:])))
    return out


@makes(Gemm)
def gemm(node: Apply) -> Run:
    """cuBLAS's own where it says the same: c as large as the product, alpha and beta known and not 0. Else the product
    first, and then a pass that adds."""
    op: Any = node.op
    dtype = _dtype(node)
    alpha, beta = [x.value.item() if isinstance(x, Constant) else None for x in (node.inputs[1], node.inputs[4])]
    multiply: Any = (matmul if op.stacked else dot)(_product_of(node))

    def make(c: Array, a: Array, x: Array, y: Array, b: Array) -> Array:
        device = current()
        is_plain = x.ndim == y.ndim == 2 and c.shape == (*x.shape[:-1], y.shape[-1]) and x.shape[-1] == y.shape[0] > 0
        if not is_plain or alpha is None or not beta:
            return _combined(dtype, tuple([v.ndim for v in (c, x, y)]), op.stacked)(c, a, multiply(x, y), b)
        out = copied(device, c)
        product(device, x[None], y[None], out[None], alpha, beta)
        return out

    return make


def _product_of(node: Apply) -> Apply:
    x, y = node.inputs[2:4]
    op: Any = node.op
    made: Any = (MatMul() if op.stacked else Dot())(x.type.variable(), y.type.variable())
    return made.owner  # type: ignore[no-any-return]


@cache
def _combined(dtype: str, ndims: tuple[int, ...], is_stacked: bool) -> Run:
    """beta * c + alpha * z, of c and a product z."""
    _, x, y = ndims
    ranks = [ndims[0], 0, max(x, y) if is_stacked else x + y - 2, 0]
    c, alpha, z, beta = [_variable(dtype, n) for n in ranks]
    return _fused([c, alpha, z, beta], beta * c + alpha * z)


def _variable(dtype: str, ndim: int) -> Any:
    return TensorType(dtype, (None,) * ndim).variable()


def _fused(inputs: Sequence[Any], out: Any) -> Run:
    """The kernel of a formula of elementwise ops, and maybe one reduction."""
    made = group(Fused(Graph(inputs, [out])).make_node(*[x.type.variable() for x in inputs]))
    assert callable(made), made
    return made


# --- sums of products over any axes


@makes(TensorDot)
def tensordot(node: Apply) -> Run:
    op: Any = node.op
    dtype = _dtype(node)

    def make(x: Array, y: Array) -> Array:
        device = current()
        shared = tuple(range(op.batch))
        pairs = zip((*shared, *op.axes_x), (*shared, *op.axes_y), strict=True)
        if any([x.shape[i] != y.shape[j] for i, j in pairs]):
            raise ValueError(f"shapes {x.shape} and {y.shape} do not fit")
        left = [k for k in range(op.batch, x.ndim) if k not in op.axes_x]
        right = [k for k in range(op.batch, y.ndim) if k not in op.axes_y]
        a = _as(device, x, dtype).transpose((*shared, *left, *op.axes_x))
        b = _as(device, y, dtype).transpose((*shared, *op.axes_y, *right))
        kept = [x.shape[k] for k in left], [y.shape[k] for k in right]
        shape = (*x.shape[: op.batch], *kept[0], *kept[1])
        return _contracted(device, a, b, (op.batch, len(left), len(op.axes_x), len(right)), shape)

    return make


def _contracted(device: Device, a: Array, b: Array, counts: tuple[int, ...], shape: Sequence[int]) -> Array:
    """The products of arrays whose axes are, so many each: shared, rows, terms; and shared, terms, columns."""
    shared, rows, terms, columns = counts
    a, b = grouped(device, a, (shared, rows, terms)), grouped(device, b, (shared, terms, columns))
    out = device.empty((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    product(device, a, b, out)
    return out.reshape(tuple(shape))


class _Operand(NamedTuple):
    """An array with a letter for each axis."""

    array: Array
    term: str

    def along(self, letters: str) -> Array:
        """The array with these letters as axes, of length 1 where it has none."""
        order = [self.term.index(c) for c in letters if c in self.term]
        return self.array.transpose(order)[(*[slice(None) if c in self.term else None for c in letters], ...)]

    def without(self, letters: str) -> _Operand:
        """Summed over these letters."""
        axes = tuple([a for a, c in enumerate(self.term) if c in letters])
        if not axes:
            return self
        made = _summing(str(self.array.dtype), self.array.ndim, axes)
        return _Operand(made(self.array), "".join([c for c in self.term if c not in letters]))


@makes(Einsum)
def einsum(node: Apply) -> Run:
    """One pair of operands after the other: those first whose product takes least more memory than they do."""
    op: Any = node.op
    dtype = _dtype(node)
    wide = "float32" if dtype == "float16" else dtype

    def make(*arrays: Array) -> Array:
        device = current()
        if len(arrays) == 1 and len(op.out) == len(op.terms[0]):
            return _Operand(arrays[0], op.terms[0]).along(op.out)
        lengths = _lengths(op.terms, arrays)
        operands = [_cut(_as(device, x, wide), term, lengths) for x, term in zip(arrays, op.terms, strict=True)]
        operands = [_alone(o, operands[:k] + operands[k + 1 :], op.out) for k, o in enumerate(operands)]
        while len(operands) > 1:
            i, j = _next_pair([o.term for o in operands], op.out, lengths)
            y, x = operands.pop(j), operands.pop(i)
            wanted = op.out + "".join([o.term for o in operands])
            operands.append(_pair(device, x, y, wanted, lengths))
        return _as(device, operands[0].along(op.out), dtype)

    return make


def _lengths(terms: Sequence[str], arrays: Sequence[Array]) -> dict[str, int]:
    """The length of each letter. Raises ValueError where axes of one letter do not broadcast."""
    lengths: dict[str, int] = {}
    for term, x in zip(terms, arrays, strict=True):
        for c, n in zip(term, x.shape, strict=True):
            known = lengths.setdefault(c, n)
            if known != n and 1 not in (known, n):
                raise ValueError(f"index {c!r} has lengths {known} and {n}")
            lengths[c] = n if known == 1 else known
    return lengths


def _cut(x: Array, term: str, lengths: dict[str, int]) -> _Operand:
    """An operand without the axes along which it is repeated."""
    is_whole = [n == lengths[c] for c, n in zip(term, x.shape, strict=True)]
    kept = x[(*[slice(None) if w else 0 for w in is_whole], ...)]
    return _Operand(kept, "".join([c for c, w in zip(term, is_whole, strict=True) if w]))


def _alone(x: _Operand, others: Sequence[_Operand], out: str) -> _Operand:
    """An operand, summed over the letters that nothing else has."""
    wanted = out + "".join([o.term for o in others])
    return x.without("".join([c for c in x.term if c not in wanted]))


def _next_pair(terms: Sequence[str], out: str, lengths: dict[str, int]) -> tuple[int, int]:
    """Which operands to multiply next.

    (D. G. A. Smith and J. Gray, "opt_einsum", Journal of Open Source Software 3, 2018: their greedy order.)
    """

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        wanted = out + "".join([t for k, t in enumerate(terms) if k not in pair])
        both = "".join(dict.fromkeys(terms[i] + terms[j]))
        out_size, first, second = [
            size([lengths[c] for c in t]) for t in ("".join([c for c in both if c in wanted]), terms[i], terms[j])
        ]
        return out_size - first - second, size([lengths[c] for c in both])

    return min(combinations(range(len(terms)), 2), key=cost)


def _pair(device: Device, x: _Operand, y: _Operand, wanted: str, lengths: dict[str, int]) -> _Operand:
    """The product of two operands, summed over the letters that are not wanted."""
    both = [c for c in x.term if c in y.term]
    shared = "".join([c for c in both if c in wanted])
    terms = "".join([c for c in both if c not in wanted])
    rows, columns = ["".join([c for c in o.term if c not in both]) for o in (x, y)]
    every, out = shared + rows + columns + terms, shared + rows + columns
    if len(every) <= FEW_AXES and (not terms or not (rows or columns)):
        made = summed_products(str(x.array.dtype), len(every), len(terms))
        return _Operand(made(x.along(every), y.along(every)), out)
    a, b = x.along(shared + rows + terms), y.along(shared + terms + columns)
    counts = (len(shared), len(rows), len(terms), len(columns))
    return _Operand(_contracted(device, a, b, counts, [lengths[c] for c in out]), out)


@cache
def summed_products(dtype: str, ndim: int, count: int) -> Run:
    """The kernel of x * y, summed over the last `count` axes."""
    x, y = _variable(dtype, ndim), _variable(dtype, ndim)
    if count == 0:
        return _fused([x, y], x * y)
    axes = tuple(range(ndim - count, ndim))
    total = T.any(x * y, axis=axes) if dtype == "bool" else T.sum(x * y, axis=axes, dtype=dtype)
    return _fused([x, y], total)


@cache
def _summing(dtype: str, ndim: int, axes: tuple[int, ...]) -> Callable[..., Any]:
    return sum_over(TensorType(dtype, (None,) * ndim), axes)
