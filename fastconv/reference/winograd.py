"""Winograd's F(4x4, 3x3) and F(2x2, 5x5) as a definition: matrices in exact arithmetic, and how far results may be off.

A correlation of m outputs with r taps is computed from n = m + r - 1 products (Toom-Cook): y = A^T ((G g) * (B^T d)).
With interpolation points p_0, ..., p_(n-2) and infinity, and M(x) = (x - p_0) ... (x - p_(n-2)):

    B^T, row i:       the coefficients of M(x) / (x - p_i);  last row: those of M(x)
    G,   row i:       (1, p_i, p_i^2, ...) / M'(p_i);        last row: (0, ..., 0, 1)
    A^T, column i:    (1, p_i, p_i^2, ...);                  last column: (0, ..., 0, 1)

The points are 0 and pairs +-p. 0, +-11/16, +-23/16 keeps the error of F(4x4, 3x3) three to seven times below that of
0, +-1, +-2; every constant but those of G is exact in float32.

After S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016; B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for
Deep Neural Networks", ACM TOMS 46(4), 2020.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS = (Fraction(11, 16), Fraction(23, 16))
SUM = 32
"""Most channels whose products are added in one sum; the sums are added after that."""

Matrix = list[list[Fraction]]


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


def matrices(outputs: int, taps: int, pairs: tuple[Fraction, ...] = PAIRS) -> tuple[Matrix, Matrix, Matrix]:
    """A^T, G and B^T of F(outputs, taps) by the definition."""
    where = points(pairs)
    n = outputs + taps - 1
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


def roundings(channels: int) -> int:
    """At most so many roundings on the way of any term, from the operands to the result.

    The products of a sum and the sums; and, for each of the two axes, 4 in B^T, 8 in G (one of them in its constants)
    and 6 in A^T, multiplications and additions counted apart.
    """
    return min(channels, SUM) + -(-channels // SUM) + 2 * (4 + 8 + 6)


def magnitude(
    input: NDArray[Any], weight: NDArray[Any], offset: tuple[int, int], output_size: tuple[int, int], groups: int = 1
) -> NDArray[np.float64]:
    """Sum the absolute values of all that is added to make each output, cancelled or not.

    |A^T| (sum over channels of (|G| |g| |G^T|) * (|B^T| |d| |B|)) |A|: times gamma(`roundings`) it bounds the error of
    an output (N. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1, applied to each step).

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (K, C / groups, 3, 3) or (K, C / groups, 5, 5)
    offset : tuple of int
        Input position of the first tap of the first output: minus the padding.
    output_size : tuple of int
    groups : int

    Returns
    -------
    ndarray, shape (N, K, *output_size)
    """
    taps = weight.shape[-1]
    edge = 7 - taps
    at, g, bt = (np.abs(np.array(matrix, np.float64)) for matrix in matrices(edge, taps))
    tiles = np.abs(input.astype(np.float64))
    for axis, (first, size) in enumerate(zip(offset, output_size, strict=True), 2):
        positions = first + edge * np.arange(-(-size // edge))[:, None] + np.arange(6)  # (tiles, 6)
        inside = (positions >= 0) & (positions < input.shape[axis])
        tiles = np.take(tiles, np.where(inside, positions, 0), 2 * axis - 2)
        tiles *= inside.reshape(inside.shape + (1,) * (tiles.ndim - 2 * axis))
    v = np.einsum("ia,jb,nctaub->ijnctu", bt, bt, tiles, optimize=True)
    u = np.einsum("ia,jb,kcab->ijkc", g, g, np.abs(weight.astype(np.float64)), optimize=True)
    v = v.reshape(*v.shape[:3], groups, weight.shape[1], *v.shape[4:])
    u = u.reshape(6, 6, groups, weight.shape[0] // groups, weight.shape[1])
    m = np.einsum("ijngctu,ijgkc->ijngktu", v, u, optimize=True)
    y = np.einsum("ai,bj,ijngktu->ngktaub", at, at, m, optimize=True)
    return y.reshape(len(input), len(weight), edge * y.shape[3], edge * y.shape[5])[
        ..., : output_size[0], : output_size[1]
    ]
