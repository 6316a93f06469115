"""Filters of images, under the names and with the arguments of `scipy.ndimage`: fastconv's ops, no SciPy.

>>> import numpy as np
>>> from fastconv import ndimage
>>> ndimage.gaussian_filter(np.ones((480, 640), np.float32), sigma=1).shape
(480, 640)
"""

from ._correlation import convolve, convolve1d, correlate, correlate1d
from ._derivatives import laplace, prewitt, sobel
from ._extremes import maximum_filter, maximum_filter1d, minimum_filter, minimum_filter1d
from ._smoothing import gaussian_filter, gaussian_filter1d, uniform_filter, uniform_filter1d

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "laplace",
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
