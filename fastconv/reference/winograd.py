"""Winograd's algorithm as a definition: matrices in exact arithmetic, and how far results may be off.

A correlation of m outputs with r taps is computed from n = m + r - 1 products (Toom-Cook): y = A^T ((G g) * (B^T d)).
With interpolation points p_0, ..., p_(n-2) and infinity, and M(x) = (x - p_0) ... (x - p_(n-2)):

    B^T, row i:       the coefficients of M(x) / (x - p_i);  last row: those of M(x)
    G,   row i:       (1, p_i, p_i^2, ...) / M'(p_i);        last row: (0, ..., 0, 1)
    A^T, column i:    (1, p_i, p_i^2, ...);                  last column: (0, ..., 0, 1)

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


class Form(NamedTuple):
    """F(outputs, taps) along one axis; F(1, 1) leaves an axis as it is."""

    outputs: int
    taps: int


FORMS = (Form(4, 3), Form(2, 3), Form(2, 5), Form(2, 7))

Matrix = list[list[Fraction]]


def forms(kernel_size: tuple[int, ...], channels: int) -> tuple[Form, ...]:
    """The form along each axis for a kernel and its input channels; ValueError where there is none."""
    long = [taps for taps in kernel_size[-2:] if taps > 1]
    if long not in ([3], [5], [7], [3, 3], [5, 5]):
        raise ValueError(f"no form of Winograd's algorithm for kernel_size={kernel_size}")
    outputs = 4 if long == [3] or (long == [3, 3] and channels >= LEAST_CHANNELS) else 2
    plane = tuple(Form(outputs, taps) if taps > 1 else Form(1, 1) for taps in kernel_size[-2:])
    return (*(Form(1, taps) for taps in kernel_size[:-2]), *plane)


def gradient_forms(kernel_size: tuple[int, ...], outputs: int) -> tuple[Form, ...]:
    """The form along each axis for the gradient of the weights, of planes with so many outputs."""
    return forms(kernel_size, LEAST_CHANNELS if outputs >= LEAST_OUTPUTS else 1)


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


def matrices(outputs: int, taps: int, pairs: tuple[Fraction, ...] | None = None) -> tuple[Matrix, Matrix, Matrix]:
    """A^T, G and B^T of F(outputs, taps) by the definition."""
    n = outputs + taps - 1
    if outputs == 1:
        unit = [[Fraction(i == j) for j in range(taps)] for i in range(taps)]
        return [[Fraction(1)] * taps], unit, unit
    where = points(PAIRS[n] if pairs is None else pairs)
    if n != len(where) + 1:
        raise ValueError(f"F({outputs}, {taps}) needs {n - 1} points")
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


def is_exact(outputs: int, taps: int) -> bool:
    """Whether A^T ((G g) * (B^T d)) is the correlation, for every pair of unit vectors g and d."""
    at, g, bt = matrices(outputs, taps)
    n = outputs + taps - 1
    return all(
        sum(at[k][i] * g[i][j] * bt[i][d] for i in range(n)) == (1 if d == k + j else 0)
        for k in range(outputs)
        for j in range(taps)
        for d in range(n)
    )


def roundings(kernel_size: tuple[int, ...], channels: int) -> int:
    """At most so many roundings on the way of any term, from the operands to the result.

    The products of a sum and the sums; and, along each axis with P pairs of points, 2 P in B^T, one more than taps in G
    (one of them in its constants) and P + 2 in A^T, multiplications and additions counted apart.
    """
    depths = math.prod(kernel_size[:-2])
    count = min(channels, SUM) + depths * -(-channels // SUM)
    for outputs, taps in forms(kernel_size, channels):
        if outputs > 1:
            pairs = (outputs + taps - 2) // 2
            count += 2 * pairs + (taps + 1) + (pairs + 2)
    return count


def gradient_roundings(kernel_size: tuple[int, ...], output_size: tuple[int, ...], images: int) -> int:
    """Count as `roundings` does for the gradient of the weights: 2 P in B^T, outputs in A and P + 4 in G^T."""
    shape = gradient_forms(kernel_size, math.prod(output_size[-2:]))
    tiles = images * math.prod(-(-size // form.outputs) for size, form in zip(output_size, shape, strict=True))
    count = min(tiles, SUM_TILES) + -(-tiles // SUM_TILES)
    for outputs, taps in shape:
        if outputs > 1:
            pairs = (outputs + taps - 2) // 2
            count += 2 * pairs + outputs + (pairs + 4)
    return count


def _tiles(image: NDArray[Any], axis: int, first: int, count: int, step: int, window: int) -> NDArray[Any]:
    """Cut windows along an axis, zeros outside of it: the axis becomes tiles, its elements come last."""
    positions = first + step * np.arange(count)[:, None] + np.arange(window)  # (tiles, elements)
    inside = (positions >= 0) & (positions < image.shape[axis])
    cut = np.take(image, np.where(inside, positions, 0), axis)
    cut *= inside.reshape(inside.shape + (1,) * (cut.ndim - axis - 2))
    return np.moveaxis(cut, axis + 1, -1)


def magnitude(
    input: NDArray[Any], weight: NDArray[Any], offset: tuple[int, ...], output_size: tuple[int, ...], groups: int = 1
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

    Returns
    -------
    ndarray, shape (N, K, *output_size)
    """
    rank = len(output_size)
    v = np.abs(input.astype(np.float64))
    v = v.reshape(len(v), groups, weight.shape[1], *v.shape[2:])
    u = np.abs(weight.astype(np.float64))
    u = u.reshape(groups, -1, *u.shape[1:])
    back = []
    for axis, (outputs, taps) in enumerate(forms(weight.shape[2:], weight.shape[1]), 3):
        at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in matrices(outputs, taps))
        tiles = -(-output_size[axis - 3] // outputs)
        v = _tiles(v, axis, offset[axis - 3], tiles, outputs, len(bt)) @ bt.T
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


def gradient_magnitude(
    input: NDArray[Any],
    grad_output: NDArray[Any],
    offset: tuple[int, ...],
    kernel_size: tuple[int, ...],
    groups: int = 1,
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

    Returns
    -------
    ndarray, shape (K, C / groups, *kernel_size)
    """
    rank = len(kernel_size)
    v, u = (np.abs(array.astype(np.float64)) for array in (input, grad_output))
    v, u = (a.reshape(len(a), groups, a.shape[1] // groups, *a.shape[2:]) for a in (v, u))
    channels = v.shape[2]
    back = []
    for axis, (outputs, taps) in enumerate(gradient_forms(kernel_size, math.prod(u.shape[3:][-2:])), 3):
        at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in matrices(outputs, taps))
        tiles = -(-u.shape[axis] // outputs)
        v = _tiles(v, axis, offset[axis - 3], tiles, outputs, len(bt)) @ bt.T
        u = _tiles(u, axis, 0, tiles, outputs, outputs) @ at
        back.append(g)
    elements, tiles_of = "xyz"[:rank], "XYZ"[:rank]
    letters = f"{tiles_of}{elements}"
    w = np.einsum(f"ngc{letters},ngk{letters}->gkc{elements}", v, u, optimize=True)
    for g in back:
        w = np.moveaxis(w, 3, -1) @ g
    return w.reshape(grad_output.shape[1], channels, *kernel_size)
