"""A package that uses fastconv's C library through Cython."""

import fastconv as fastconv  # first: it loads the library that `operations` links to

from .operations import avg_pool2d, conv2d, conv2d_grad_input

__all__ = ["avg_pool2d", "conv2d", "conv2d_grad_input"]
