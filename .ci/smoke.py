"""A few calls of an installed fastconv against its reference, and the time that importing it adds to NumPy's.

python .ci/smoke.py [--untimed]
"""

import subprocess
import sys

import numpy as np

import fastconv
from fastconv import reference

IMPORT_TIME = """
import time, numpy
start = time.perf_counter()
import fastconv
print(time.perf_counter() - start)
"""

random = np.random.default_rng(0)
x = random.standard_normal((2, 3, 9, 11)).astype(np.float32)
w = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
for algorithm in ("direct", "im2col"):
    y = fastconv.conv2d(x, w, padding=1, algorithm=algorithm)
    np.testing.assert_allclose(y, reference.conv2d(x, w, padding=1), rtol=1e-4, atol=1e-4)
for got, expected in zip(
    fastconv.conv2d_backward(y, x, w, padding=1), reference.conv2d_backward(y, x, w, padding=1), strict=True
):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
for got, expected in zip(
    fastconv.max_pool2d(x, 2, return_indices=True), reference.max_pool2d(x, 2, return_indices=True), strict=True
):
    np.testing.assert_array_equal(got, expected)
np.testing.assert_allclose(fastconv.avg_pool2d(x, 2), reference.avg_pool2d(x, 2), rtol=1e-5, atol=1e-6)

print(f"NumPy {np.__version__}, {fastconv.__file__}: agrees")

if "--untimed" not in sys.argv:
    times = [float(subprocess.check_output([sys.executable, "-c", IMPORT_TIME])) for _ in range(10)]
    print(f"import takes {min(times) * 1e3:.1f} ms more than NumPy's")
    if min(times) > 0.030:
        sys.exit("the import is too slow: 30 ms are allowed")
