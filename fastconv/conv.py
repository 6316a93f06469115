"""Convolution forward: ``conv`` for every rank, and ``conv1d``, ``conv2d``, ``conv3d``.

``conv`` tells the whole story; the others say what the shapes are at their rank. Arguments are checked, and algorithms
chosen, below this file.
"""

from __future__ import annotations

from . import _core
from ._types import Activation, Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = ["conv", "conv1d", "conv2d", "conv3d"]


def conv(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Convolve a batch of signals, images or volumes with a bank of filters.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.conv2d``. As in every neural network
    library the filters are not mirrored by default (cross-correlation); ``flip=True`` mirrors them.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes. float32 and float64 are computed as they are, float16 in
        float32 and rounded once. Types are promoted as NumPy promotes them; integers and booleans become float64. Any
        strides will do: views are read in place.
    weight : array_like, shape (K, C / groups, *kernel)
        K filters. This order of axes holds in every `layout`.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride : int or tuple of int, default: 1
        Step between windows, one number or one a spatial axis.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Zeros around the input. ``"valid"`` is 0. ``"same"`` makes the output ``ceil(input / stride)`` long, with the
        odd zero, if any, at the end.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a filter.
    groups : int, default: 1
        Channels and filters are cut into this many groups that do not see each other; both counts must be multiples of
        it. ``groups=C`` is a depthwise convolution.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    flip : bool, default: False
        Mirror the filters on every spatial axis: the convolution of mathematics and signal processing.
    activation : None, "relu" or ("leaky_relu", slope), default: None
        Applied to the result, bias included, as it is stored. NaN stays NaN.
    algorithm : {"auto", "exact", "direct", "im2col", "winograd", "depthwise"}, default: "auto"
        ``"direct"`` walks the image in place, ``"im2col"`` packs patches a cache block at a time into a matrix product,
        ``"winograd"`` computes kernels of 3x3, 4x4, 5x5 and 3, 5 or 7 along one axis, of any depth, with stride and
        dilation 1, from a quarter to 4/7 of the products, 3x3 with stride 2 from 0.6 to 0.7 of them, 5x5 to 10x10 with
        stride 2 and 9x9 to 14x14 with stride 4 from a quarter to 0.45, though in `conv_grad_input` with a stride 3x3
        and 4x4 alone; ``"depthwise"`` is for one input channel a group. ``"auto"`` takes the fastest, ``"exact"`` the
        fastest of those that compute plain sums: not ``"winograd"``.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape (N, K, *output)
        In the axis order of `layout`; `out` if it was given. An empty batch gives an empty array.

    Raises
    ------
    ValueError
        If shapes do not fit, the kernel is larger than the padded input, or an argument has a value that is not
        allowed. The message names the op, the argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type: a float where an integer is needed, complex or object arrays.
    MemoryError
        If the result or the scratch memory cannot be allocated.

    See Also
    --------
    conv1d, conv2d, conv3d : the same for one rank; they also take a single item without its batch axis.
    conv_grad_input, conv_grad_weight, conv_backward : the gradients.

    Notes
    -----
    With ``g`` the group of filter ``k``, ``C' = C / groups``, and `input` zero outside of its borders::

        output[n, k, p] = bias[k] + sum over c < C', r < kernel of
                          weight[k, c, r] * input[n, g * C' + c, p * stride + r * dilation - padding_before]

    where ``p`` and ``r`` have one component a spatial axis; with ``flip=True``, ``weight[k, c, kernel - 1 - r]``. Each
    axis of the output has [1]_ ::

        output = floor((input + before + after - dilation * (kernel - 1) - 1) / stride) + 1

    The cost is ``N * K * C' * prod(output) * prod(kernel)`` multiply-adds, two floating point operations each.

    Nothing here computes the gradient of `activation`; it is one line before `conv_backward`: for ``"relu"``
    ``grad_output * (output > 0)``, for a leaky one of positive slope
    ``np.where(output > 0, grad_output, slope * grad_output)``.

    Winograd's algorithm [4]_ adds in another order, with roundings of its own: the largest error of a tensor is mostly
    below that of plain `float32` sums, and stays within twice that. Where too few channels would not let it, 3x3 goes
    by smaller tiles, and ``"auto"`` leaves it out (one axis: below 16 channels a group, 48 for 7 taps; 5x5: below 8).
    It works on tiles of 4 x 4 or 2 x 2 outputs, 4 or 2 along one axis, so that a single element many times larger than
    those around it makes their results less accurate; use ``"exact"`` for such data. Infinity and NaN of the input
    stand where plain sums put them; a tile that they reach is computed again, plainly. Those of the weights do too, but
    for padding: ``"im2col"`` multiplies its zeros, which makes NaN of infinity, the others leave them out.

    The layer is that of LeCun et al. [2]_; turning it into a matrix product is due to Chellapilla et al. [3]_.

    References
    ----------
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.
    .. [2] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
       Proceedings of the IEEE 86(11), 1998.
    .. [3] K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document
       processing", Tenth International Workshop on Frontiers in Handwriting Recognition, 2006.
    .. [4] Andrew Lavin, Scott Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> signal = np.array([[[1.0, 2.0, 4.0, 8.0]]])
    >>> weight = np.array([[[-1.0, 0.0, 1.0]]])
    >>> fastconv.conv(signal, weight, padding=1)
    array([[[ 2.,  3.,  6., -4.]]])

    The convolution of mathematics, and a ReLU on top of it:

    >>> fastconv.conv(signal, weight, padding=1, flip=True)
    array([[[-2., -3., -6.,  4.]]])
    >>> fastconv.conv(signal, weight, padding=1, activation="relu")
    array([[[2., 3., 6., 0.]]])
    """
    return _core.conv(
        0, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out
    )


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Convolve signals with a bank of filters.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        Signals; with ``layout="NWC"``, (N, W, C) or (W, C).
    weight : array_like, shape (K, C / groups, KW)
        Filters.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm, out
        As in `conv`.

    Returns
    -------
    ndarray, shape (N, K, OW) or (K, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv`, which also has the formula, the cost and the papers.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.conv1d(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), np.ones((1, 1, 3)), stride=2)
    array([[ 7., 28.]])
    """
    return _core.conv(
        1, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out
    )


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Convolve images with a bank of filters.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        Images; with ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    weight : array_like, shape (K, C / groups, KH, KW)
        Filters.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm, out
        As in `conv`; a tuple has one entry for H and one for W.

    Returns
    -------
    ndarray, shape (N, K, OH, OW) or (K, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv`, which also has the formula, the cost and the papers.

    Examples
    --------
    An edge between a bright and a dark half, found by a vertical edge filter:

    >>> import numpy as np
    >>> import fastconv
    >>> image = np.array([[10.0, 10.0, 10.0, 0.0, 0.0, 0.0]] * 3)
    >>> edge = np.array([[1.0, 0.0, -1.0]] * 3)
    >>> fastconv.conv2d(image[None, None], edge[None, None])
    array([[[[ 0., 30., 30.,  0.]]]])
    """
    return _core.conv(
        2, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out
    )


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Convolve volumes, or videos, with a bank of filters.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes; with ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    weight : array_like, shape (K, C / groups, KD, KH, KW)
        Filters.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm, out
        As in `conv`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    ndarray, shape (N, K, OD, OH, OW) or (K, OD, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv`, which also has the formula, the cost and the papers.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.conv3d(np.ones((3, 8, 32, 32)), np.ones((4, 3, 3, 3, 3)), padding="same", stride=(1, 2, 2)).shape
    (4, 8, 16, 16)
    """
    return _core.conv(
        3, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out
    )
