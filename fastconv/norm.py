"""Local response normalisation and its gradient: ``local_response_norm``, ``local_response_norm_backward``."""

from __future__ import annotations

from . import _core
from ._types import Array, ArrayLike, Int, Layout

__all__ = ["local_response_norm", "local_response_norm_backward"]


def local_response_norm(
    input: ArrayLike,
    size: Int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Divide each element by a power of the mean square of its neighbours in the channels around.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.local_response_norm``.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `conv`.
    size : int
        Neighbouring channels, the element's own included. Of an even number one more lies below than above.
    alpha : float, default: 1e-4
        Factor of the mean square: of the sum over `size`, as in PyTorch and ONNX. AlexNet's paper does not divide; its
        1e-4 at a size of 5 is 5e-4 here.
    beta : float, default: 0.75
        The exponent.
    k : float, default: 1.0
        Added to the mean square. AlexNet has 2.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape of `input`

    Raises
    ------
    ValueError
        If `size` is less than 1, or another argument has a value that is not allowed. The message names the op, the
        argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result or the scratch memory cannot be allocated.

    See Also
    --------
    local_response_norm_backward : the gradient.

    Notes
    -----
    From section 3.3 of [1]_, with channels outside of the input counting as 0::

        output[n, c, p] = input[n, c, p] / (k + alpha / size * sum of input[n, j, p] ** 2) ** beta
        over c - size // 2 <= j <= c + (size - 1) // 2

    The cost is `size` multiply-adds and one power an element. Exponents of 1/2, 3/4 and 1 take square roots and
    divisions; others the power function of the C library.

    References
    ----------
    .. [1] A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
       NIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> responses = np.array([[[1.0], [2.0], [3.0]]])
    >>> fastconv.local_response_norm(responses, 3, alpha=3.0, beta=1.0, k=0.0)
    array([[[0.2       ],
            [0.14285714],
            [0.23076923]]])
    """
    return _core.local_response_norm(0, input, size, alpha, beta, k, layout, out)


def local_response_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    size: Int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `local_response_norm` with respect to its input.

    Parameters
    ----------
    grad_output : array_like, shape of `input`
        Gradient of the loss with respect to the output.
    input : array_like, shape (N, C, *spatial)
        As given to `local_response_norm`.
    size, alpha, beta, k, layout
        As given to `local_response_norm`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape of `input`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `local_response_norm`.

    Notes
    -----
    With ``d`` the base of the power, and c in the window of i as in the forward pass::

        grad_input[c] = grad_output[c] * d[c] ** -beta - 2 * alpha / size * beta * input[c]
                        * sum over i of grad_output[i] * input[i] * d[i] ** (-beta - 1)

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> x = np.array([[[1.0], [2.0]]])
    >>> fastconv.local_response_norm_backward(np.ones_like(x), x, 1, alpha=1.0, beta=1.0, k=1.0)
    array([[[ 0.  ],
            [-0.12]]])
    """
    return _core.local_response_norm_backward(0, grad_output, input, size, alpha, beta, k, layout, out)
