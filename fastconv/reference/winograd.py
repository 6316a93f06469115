"""Winograd's algorithm as a definition: matrices in exact arithmetic, and how far results may be off.

A correlation of m outputs with r taps is computed from n = m + r - 1 products (Toom-Cook): y = A^T ((G g) * (B^T d)).
With interpolation points p_0, ..., p_(n-2) and infinity, and M(x) = (x - p_0) ... (x - p_(n-2)):

    B^T, row i:       the coefficients of M(x) / (x - p_i);  last row: those of M(x)
    G,   row i:       (1, p_i, p_i^2, ...) / M'(p_i);        last row: (0, ..., 0, 1)
    A^T, column i:    (1, p_i, p_i^2, ...);                  last column: (0, ..., 0, 1)

With stride 2 the first, third, ... tap meet even positions of the input alone, and the others odd ones: a correlation
with stride 1 each, whose matrices stand side by side. F(2, 3) is F(2, 2) and F(2, 1), of 3 + 2 products.

Longer kernels with a stride s of 2 or 4 are done by phases (`phases`): every s-th row and column, from each of the
first s on, is an image of its own, and so are the taps that meet it: s * s times the channels, taps / s rounded up
along each axis, stride 1. Taps that the kernel lacks are 0. 7x7 with stride 2 is F(3x3, 4x4) of four times the
channels.

The transpose of 3x3 and 4x4 with stride 2 makes even outputs, counted from where the first tap meets, of every second
tap from the first on, odd ones of the others: F(3, 2) of the same inputs each, or F(3, 1), side by side
(`transposed_matrices`).

The gradient of the taps is the transpose of that: g = G^T ((A y) * (B^T d)), y being the gradient of the outputs.
Along two axes the transforms are applied to the rows of a tile, then to its columns; taps along depth are added one by
one, which is F(1, r). The points are 0 and pairs +-p.
0, +-11/16, +-23/16 keeps the error of F(4x4, 3x3) three to seven times below that of 0, +-1, +-2. Every constant but
those of G is exact in float32.

After S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016; B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for
Deep Neural Networks", ACM TOMS 46(4), 2020.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PAIRS = {
    4: (Fraction(1),),
    6: (Fraction(11, 16), Fraction(23, 16)),
    8: (Fraction(1, 2), Fraction(1), Fraction(2)),
}
"""The points but for 0 and infinity, by the elements of a tile along an axis."""
SUM = 32
"""Most channels whose products are added in one sum; the sums are added after that."""
SUM_TILES = 56
"""The same of tiles, whose products make the gradient of the weights."""
LEAST_CHANNELS = 32
"""With fewer, 3x3 is done by F(2x2, 3x3) instead of F(4x4, 3x3), whose error would be too large."""
LEAST_OUTPUTS = 150
"""The same for the gradient of the weights, outputs of a plane."""
MOST_TAPS = 200
"""Of a kernel that is done by phases."""


class Form(NamedTuple):
    """F(outputs, taps) along one axis; F(1, 1) leaves an axis as it is."""

    outputs: int
    taps: int
    stride: int = 1

    @property
    def products(self) -> int:
        """As many as inputs of a tile."""
        return (self.outputs - 1) * self.stride + self.taps


FORMS = (Form(4, 3), Form(2, 3), Form(3, 4), Form(2, 5), Form(2, 7), Form(2, 3, 2))

Matrix = list[list[Fraction]]


def phases(kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """Into how many images each of height and width is parted; 1: none."""
    plane = {*zip(kernel_size[-2:], stride[-2:], strict=True)}
    if len(kernel_size) < 2 or len(plane) > 1:
        return 1
    ((taps, step),) = plane
    able = step in (2, 4) and taps > step and taps * taps <= MOST_TAPS and (taps, step) != (3, 2)
    return step if able else 1


def forms(kernel_size: tuple[int, ...], channels: int, stride: tuple[int, ...] | None = None) -> tuple[Form, ...]:
    """The form along each axis for a kernel, its stride and its input channels; ValueError where there is none.

    Where it is done by phases, that of each of these.
    """
    stride = stride or (1,) * len(kernel_size)
    parts = phases(kernel_size, stride)
    axes = [(-(-taps // parts), step // parts) for taps, step in zip(kernel_size[-2:], stride[-2:], strict=True)]
    long = [taps for taps, _ in axes if taps > 1]
    plane = {step for _, step in axes}
    if long not in ([3], [5], [7], [3, 3], [4, 4], [5, 5]) or (plane != {1} and (plane, long) != ({2}, [3, 3])):
        raise ValueError(f"no form of Winograd's algorithm for kernel_size={kernel_size}, stride={stride}")
    few = plane == {2} or (long == [3, 3] and channels * math.prod(kernel_size[-2:]) < 9 * LEAST_CHANNELS)
    outputs = {3: 2 if few else 4, 4: 3}.get(long[0], 2)
    depths = zip(kernel_size[:-2], stride[:-2], strict=True)
    return (
        *(Form(1, taps, step) for taps, step in depths),
        *(Form(outputs if taps > 1 else 1, taps, step) for taps, step in axes),
    )


def gradient_forms(
    kernel_size: tuple[int, ...], outputs: int, stride: tuple[int, ...] | None = None
) -> tuple[Form, ...]:
    """The form along each axis for the gradient of the weights, of planes with so many outputs."""
    return forms(kernel_size, LEAST_CHANNELS if outputs >= LEAST_OUTPUTS else 1, stride)


def times(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    """Multiply polynomials, coefficients from the constant up."""
    product = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def points(pairs: tuple[Fraction, ...]) -> list[Fraction]:
    """0 and both signs of every pair."""
    return [Fraction(0), *(sign * p for p in pairs for sign in (1, -1))]


def matrices(outputs: int, taps: int, stride: int = 1) -> tuple[Matrix, Matrix, Matrix]:
    """A^T, G and B^T of F(outputs, taps) by the definition."""
    if outputs == 1:
        unit = [[Fraction(i == j) for j in range(taps)] for i in range(taps)]
        return [[Fraction(1)] * taps], unit, unit
    reach = (outputs - 1) * stride + taps
    at: Matrix = [[] for _ in range(outputs)]
    g: Matrix = []
    bt: Matrix = []
    for first in range(stride):
        own = range(first, taps, stride)
        parts = _toom_cook(outputs, len(own))
        at = [row + more for row, more in zip(at, parts[0], strict=True)]
        g += [_spread(row, own, taps) for row in parts[1]]
        bt += [_spread(row, range(first, reach, stride), reach) for row in parts[2]]
    return at, g, bt


def transposed_matrices(taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """A^T, G and B^T of the transpose with stride 2 along one axis: 6 outputs of 4 inputs, 3 or 4 taps."""
    at: Matrix = [[] for _ in range(6)]
    g: Matrix = []
    bt: Matrix = []
    for first in range(2):
        own = range(first, taps, 2)[::-1]  # the last tap meets the first input
        parts = _toom_cook(3, 2) if len(own) == 2 else matrices(3, 1)
        for output, row in enumerate(at):
            row += parts[0][output // 2] if output % 2 == first else [Fraction(0)] * len(parts[0][0])
        g += [_spread(row, own, taps) for row in parts[1]]
        bt += [_spread(row, range(4 - len(row), 4), 4) for row in parts[2]]
    return at, g, bt


def transposes(kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the transpose of a convolution has tiles of its own, of all phases."""
    flat = {*kernel_size[:-2], *stride[:-2]} <= {1}
    return flat and tuple(kernel_size[-2:]) in ((3, 3), (4, 4)) and tuple(stride[-2:]) == (2, 2)


def _spread(row: list[Fraction], places: range, length: int) -> list[Fraction]:
    """The elements of a row at some places, zeros at the others."""
    result = [Fraction(0)] * length
    for place, value in zip(places, row, strict=True):
        result[place] = value
    return result


def _toom_cook(outputs: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    n = outputs + taps - 1
    where = points(PAIRS[n]) if n in PAIRS else [Fraction(p) for p in range(n - 1)]
    bt, g = [], []
    for i, p in enumerate(where):
        others = [Fraction(1)]
        norm = Fraction(1)
        for j, q in enumerate(where):
            if j != i:
                others = times(others, [-q, Fraction(1)])
                norm *= p - q
        bt.append([*others, Fraction(0)])
        g.append([p**k / norm for k in range(taps)])
    whole = [Fraction(1)]
    for q in where:
        whole = times(whole, [-q, Fraction(1)])
    bt.append(whole)
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    at = [[p**k for p in where] + [Fraction(k == outputs - 1)] for k in range(outputs)]
    return at, g, bt


def is_exact(outputs: int, taps: int, stride: int = 1) -> bool:
    """Whether A^T ((G g) * (B^T d)) is the correlation, for every pair of unit vectors g and d."""
    at, g, bt = matrices(outputs, taps, stride)
    n = Form(outputs, taps, stride).products
    return all(
        sum(at[k][i] * g[i][j] * bt[i][d] for i in range(n)) == (1 if d == k * stride + j else 0)
        for k in range(outputs)
        for j in range(taps)
        for d in range(n)
    )


def is_exact_transpose(taps: int) -> bool:
    """The same of the transpose with stride 2: input i and tap j make output 2 (i - 1) + j."""
    at, g, bt = transposed_matrices(taps)
    return all(
        sum(at[k][i] * g[i][j] * bt[i][d] for i in range(len(bt))) == (1 if k == 2 * (d - 1) + j else 0)
        for k in range(6)
        for j in range(taps)
        for d in range(4)
    )


def roundings(kernel_size: tuple[int, ...], channels: int, stride: tuple[int, ...] | None = None) -> int:
    """At most so many roundings on the way of any term, from the operands to the result.

    The products of a sum and the sums; and, along each axis with P pairs of points, 2 P in B^T, one more than taps in G
    (one of them in its constants) and P + 2 in A^T, multiplications and additions counted apart. With stride 2, where
    all constants are 1: one, one and two additions.
    """
    depths = math.prod(kernel_size[:-2])
    terms = channels * phases(kernel_size, stride or (1,) * len(kernel_size)) ** 2
    count = min(terms, SUM) + depths * -(-terms // SUM)
    for outputs, taps, step in forms(kernel_size, channels, stride):
        if outputs > 1:
            pairs = (outputs + taps - 2) // 2
            count += 2 * pairs + (taps + 1) + (pairs + 2) if step == 1 else 4
    return count


def gradient_roundings(
    kernel_size: tuple[int, ...], output_size: tuple[int, ...], images: int, stride: tuple[int, ...] | None = None
) -> int:
    """Count as `roundings` does for the gradient of the weights: 2 P in B^T, outputs in A and P + 4 in G^T; or 3."""
    shape = gradient_forms(kernel_size, math.prod(output_size[-2:]), stride)
    tiles = images * math.prod(-(-size // form.outputs) for size, form in zip(output_size, shape, strict=True))
    count = min(tiles, SUM_TILES) + -(-tiles // SUM_TILES)
    for outputs, taps, step in shape:
        if outputs > 1:
            pairs = (outputs + taps - 2) // 2
            count += 2 * pairs + outputs + (pairs + 4) if step == 1 else 3
    return count


def transposed_roundings(channels: int) -> int:
    """Count as `roundings` does for the transpose: 1 in B^T, 2 in G and 2 in A^T along each of two axes."""
    return min(channels, SUM) + -(-channels // SUM) + 2 * 5


def _tiles(image: NDArray[Any], axis: int, first: int, count: int, step: int, window: int) -> NDArray[Any]:
    """Cut windows along an axis, zeros outside of it: the axis becomes tiles, its elements come last."""
    positions = first + step * np.arange(count)[:, None] + np.arange(window)  # (tiles, elements)
    inside = (positions >= 0) & (positions < image.shape[axis])
    cut = np.take(image, np.where(inside, positions, 0), axis)
    cut *= inside.reshape(inside.shape + (1,) * (cut.ndim - axis - 2))
    return np.moveaxis(cut, axis + 1, -1)


def _part(array: NDArray[Any], axis: int, first: int, count: int, parts: int) -> NDArray[Any]:
    """Every `parts`-th element of an axis, from each of the first `parts` on: the third axis has so many times more."""
    cut = np.moveaxis(_tiles(array, axis, first, count, parts, parts), -1, 3)
    return cut.reshape(*cut.shape[:2], -1, *cut.shape[4:])


def _image_phases(
    image: NDArray[Any], parts: int, offset: tuple[int, ...], output_size: tuple[int, ...], kernel_size: tuple[int, ...]
) -> NDArray[Any]:
    for axis in (-2, -1):
        count = output_size[axis] - 1 + -(-kernel_size[axis] // parts)
        image = _part(image, image.ndim + axis, offset[axis], count, parts)
    return image


def magnitude(
    input: NDArray[Any],
    weight: NDArray[Any],
    offset: tuple[int, ...],
    output_size: tuple[int, ...],
    groups: int = 1,
    stride: tuple[int, ...] | None = None,
) -> NDArray[np.float64]:
    """Sum the absolute values of all that is added to make each output, cancelled or not.

    |A^T| (sum over channels of (|G| |g| |G^T|) * (|B^T| |d| |B|)) |A|: times gamma(`roundings`) it bounds the error of
    an output (N. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1, applied to each step).

    Parameters
    ----------
    input : ndarray, shape (N, C, *spatial)
    weight : ndarray, shape (K, C / groups, *kernel_size)
    offset : tuple of int
        Along each axis, the input position of the first tap of the first output: minus the padding.
    output_size : tuple of int
    groups : int
    stride : tuple of int, optional

    Returns
    -------
    ndarray, shape (N, K, *output_size)
    """
    rank = len(output_size)
    shape = forms(weight.shape[2:], weight.shape[1], stride)
    v = np.abs(input.astype(np.float64))
    v = v.reshape(len(v), groups, weight.shape[1], *v.shape[2:])
    u = np.abs(weight.astype(np.float64))
    u = u.reshape(groups, -1, *u.shape[1:])
    parts = phases(weight.shape[2:], stride or (1,) * rank)
    if parts > 1:
        v = _image_phases(v, parts, offset, output_size, weight.shape[2:])
        u = _part(_part(u, 3 + rank - 2, 0, shape[-2].taps, parts), 3 + rank - 1, 0, shape[-1].taps, parts)
        offset = (*offset[:-2], 0, 0)
    back = []
    for axis, form in enumerate(shape, 3):
        at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in matrices(*form))
        tiles = -(-output_size[axis - 3] // form.outputs)
        v = _tiles(v, axis, offset[axis - 3], tiles, form.outputs * form.stride, len(bt)) @ bt.T
        u = np.moveaxis(u, 3, -1) @ g.T
        back.append(at)
    # v: images, groups, channels, tiles and elements along each axis; u: groups, filters, channels, elements
    letters = "xyz"[:rank]
    m = np.einsum(f"ngc...{letters},gkc{letters}->ngk...{letters}", v, u, optimize=True)
    for at in back:
        m = np.moveaxis(m, 3 + rank, -1) @ at.T
    order = [axis for each in range(rank) for axis in (3 + each, 3 + rank + each)]
    y = m.transpose(0, 1, 2, *order)
    sizes = [y.shape[3 + 2 * each] * y.shape[4 + 2 * each] for each in range(rank)]
    return y.reshape(len(input), len(weight), *sizes)[(..., *(slice(size) for size in output_size))]


def transposed_magnitude(
    input: NDArray[Any], weight: NDArray[Any], offset: tuple[int, ...], output_size: tuple[int, ...], groups: int = 1
) -> NDArray[np.float64]:
    """Sum the absolute values of all that is added to make the transpose, as `magnitude` does.

    Parameters
    ----------
    input : ndarray, shape (N, K, *spatial)
    weight : ndarray, shape (K, C / groups, *kernel_size)
    offset : tuple of int
        Along each axis, the output position that the first tap makes of the first input: minus the padding.
    output_size : tuple of int
    groups : int

    Returns
    -------
    ndarray, shape (N, C, *output_size)
    """
    rank = len(output_size)
    v, u = (np.abs(array.astype(np.float64)) for array in (input, weight))
    v = v.reshape(len(v), groups, -1, *v.shape[2:])
    u = u.reshape(groups, -1, *u.shape[1:])
    back = []
    for axis in range(rank):
        if axis < rank - 2:  # depth, of one tap
            at = g = bt = np.ones((1, 1))
            tiles, first, step = output_size[axis], 0, 1
        else:
            exact = transposed_matrices(weight.shape[2 + axis])
            at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in exact)
            tiles, first, step = -(-(output_size[axis] - offset[axis]) // len(at)), -1, 3
        v = _tiles(v, 3 + axis, first, tiles, step, bt.shape[1]) @ bt.T
        u = np.moveaxis(u, 3, -1) @ g.T
        back.append(at)
    letters = "xyz"[:rank]
    m = np.einsum(f"ngk...{letters},gkc{letters}->ngc...{letters}", v, u, optimize=True)
    for at in back:
        m = np.moveaxis(m, 3 + rank, -1) @ at.T
    order = [axis for each in range(rank) for axis in (3 + each, 3 + rank + each)]
    y = m.transpose(0, 1, 2, *order)
    sizes = [y.shape[3 + 2 * each] * y.shape[4 + 2 * each] for each in range(rank)]
    y = y.reshape(len(input), -1, *sizes)
    return y[(..., *(slice(-before, -before + size) for before, size in zip(offset, output_size, strict=True)))]


def gradient_magnitude(
    input: NDArray[Any],
    grad_output: NDArray[Any],
    offset: tuple[int, ...],
    kernel_size: tuple[int, ...],
    groups: int = 1,
    stride: tuple[int, ...] | None = None,
) -> NDArray[np.float64]:
    """Sum the absolute values of all that is added to make the gradient of each weight, as `magnitude` does.

    |G^T| (sum over tiles of (|A| |y| |A^T|) * (|B^T| |d| |B|)) |G|.

    Parameters
    ----------
    input : ndarray, shape (N, C, *spatial)
    grad_output : ndarray, shape (N, K, *output_size)
    offset : tuple of int
        Along each axis, the input position of the first tap of the first output: minus the padding.
    kernel_size : tuple of int
    groups : int
    stride : tuple of int, optional

    Returns
    -------
    ndarray, shape (K, C / groups, *kernel_size)
    """
    rank = len(kernel_size)
    v, u = (np.abs(array.astype(np.float64)) for array in (input, grad_output))
    v, u = (a.reshape(len(a), groups, a.shape[1] // groups, *a.shape[2:]) for a in (v, u))
    channels = v.shape[2]
    parts = phases(kernel_size, stride or (1,) * rank)
    if parts > 1:
        v = _image_phases(v, parts, offset, u.shape[3:], kernel_size)
        offset = (*offset[:-2], 0, 0)
    back = []
    for axis, form in enumerate(gradient_forms(kernel_size, math.prod(u.shape[3:][-2:]), stride), 3):
        at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in matrices(*form))
        tiles = -(-u.shape[axis] // form.outputs)
        v = _tiles(v, axis, offset[axis - 3], tiles, form.outputs * form.stride, len(bt)) @ bt.T
        u = _tiles(u, axis, 0, tiles, form.outputs, form.outputs) @ at
        back.append(g)
    elements, tiles_of = "xyz"[:rank], "XYZ"[:rank]
    letters = f"{tiles_of}{elements}"
    w = np.einsum(f"ngc{letters},ngk{letters}->gkc{elements}", v, u, optimize=True)
    for g in back:
        w = np.moveaxis(w, 3, -1) @ g
    if parts > 1:  # channels, rows and columns of phases; taps
        w = w.reshape(grad_output.shape[1], channels, parts, parts, *w.shape[3:])
        w = np.moveaxis(np.moveaxis(w, 3, -1), 2, -3)
        w = w.reshape(*w.shape[:-4], w.shape[-4] * parts, w.shape[-2] * parts)[
            ..., : kernel_size[-2], : kernel_size[-1]
        ]
    return w.reshape(grad_output.shape[1], channels, *kernel_size)
