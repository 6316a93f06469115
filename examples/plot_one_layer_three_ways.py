"""
One layer three ways: dense, sparse, convolution
================================================

A convolutional layer is linear, so it is a matrix: one row for each output, zeros wherever that output does not look,
and the same few weights in all rows. Multiplying with that matrix gives what :func:`fastconv.conv2d` gives, outputs and
gradients; what differs is the memory and the time.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse
from sklearn.datasets import load_sample_image
from threadpoolctl import threadpool_limits

import fastconv

SIZE, FILTERS, FIELD = 32, 4, 5
random = np.random.default_rng(0)
weight = random.standard_normal((FILTERS, 1, FIELD, FIELD), np.float32)
geometry = {"padding": FIELD // 2}

grey = (load_sample_image("china.jpg") @ np.array([0.299, 0.587, 0.114]) / 255).astype(np.float32)
down, across = grey.shape[0] // SIZE, grey.shape[1] // SIZE  # tiles of the photograph
tiles = grey[: down * SIZE, : across * SIZE].reshape(down, SIZE, across, SIZE).swapaxes(1, 2)
images = tiles.reshape(-1, 1, SIZE, SIZE)[::4]
print(f"{len(images)} images of {SIZE}x{SIZE}, {FILTERS} filters of {FIELD}x{FIELD}")

# %%
# The matrix
# ----------
#
# Which input does each tap of each window see? Number the pixels, from 1 since zeros come from the padding, and let
# :func:`fastconv.im2col` write out the windows of these numbers: (taps, places).

pixels = np.arange(1, SIZE**2 + 1).reshape(1, 1, SIZE, SIZE)
seen = fastconv.im2col(pixels, FIELD, **geometry)[0]
taps, places = seen.shape
which, tap, place = np.nonzero(np.broadcast_to(seen, (FILTERS, taps, places)))
rows, columns = which * places + place, seen[tap, place] - 1  # output and input of each connection
shared = which * taps + tap  # and the weight that it uses

sparse = scipy.sparse.csr_array((weight.ravel()[shared], (rows, columns)), (FILTERS * places, SIZE**2))
dense = sparse.toarray()
print(f"{dense.size:,} entries, {sparse.nnz:,} of them not zero, {weight.size} weights")

# %%
# On the left all of it, dark where any of 8x8 entries is not zero (a maximum: :func:`fastconv.max_pool2d`). On the
# right a corner: the first outputs of the first filter. The 25 weights stand on 25 diagonals.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
left.imshow(
    fastconv.max_pool2d(dense[None] != 0, 8)[0], cmap="gray_r", extent=(0, *dense.shape[::-1], 0), aspect="auto"
)
right.imshow(dense[:160, :160], cmap="RdBu_r", vmin=-2, vmax=2, interpolation="nearest")
for ax, title in ((left, "The matrix"), (right, "Its first 160 rows and columns")):
    ax.set(title=title, xlabel="input pixel", ylabel="output")
plt.show()

# %%
# The same output, the same gradients
# -----------------------------------
#
# Let the loss be half the sum of all squared outputs: its gradient with respect to them is the outputs themselves. The
# gradient of the input is the transposed matrix times that. The gradient of a shared weight is the sum over all entries
# of the matrix where it stands: the dense way finds one for every entry first, zeros included; the sparse way, one for
# every connection.

grad_output = fastconv.conv2d(images, weight, **geometry)
x, g = images.reshape(len(images), -1), grad_output.reshape(len(images), -1)


def collected(by_connection):
    """The gradients of the weights from those of all connections."""
    return np.bincount(shared, by_connection).reshape(weight.shape)


ways = {
    "dense matrix": {
        "output": lambda: (x @ dense.T).reshape(grad_output.shape),
        "gradient of the input": lambda: (g @ dense).reshape(images.shape),
        "gradient of the weights": lambda: collected((g.T @ x)[rows, columns]),
    },
    "sparse matrix": {
        "output": lambda: (sparse @ x.T).T.reshape(grad_output.shape),
        "gradient of the input": lambda: (sparse.T @ g.T).T.reshape(images.shape),
        "gradient of the weights": lambda: collected(sum(a[rows] * b[columns] for a, b in zip(g, x, strict=True))),
    },
    "fastconv": {
        "output": lambda: fastconv.conv2d(images, weight, **geometry),
        "gradient of the input": lambda: fastconv.conv2d_grad_input(grad_output, weight, images.shape, **geometry),
        "gradient of the weights": lambda: fastconv.conv2d_grad_weight(grad_output, images, weight.shape, **geometry),
    },
}

for name in ways["fastconv"]:
    results = [way[name]() for way in ways.values()]
    error = max(abs(result - results[0]).max() for result in results) / abs(results[0]).max()
    print(f"{name}: all three agree to {error:.0e} of the largest element")
    assert error < 1e-5

# %%
# Bytes and milliseconds
# ----------------------
#
# The shortest of five calls on this machine, by one thread each. Bytes are what each way keeps of the layer.


def milliseconds(call):
    """The shortest time of five."""
    times = []
    with threadpool_limits(1), fastconv.num_threads(1):
        for _ in range(5):
            start = perf_counter()
            call()
            times.append(perf_counter() - start)
    return 1e3 * min(times)


kept = [dense.nbytes, sparse.data.nbytes + sparse.indices.nbytes + sparse.indptr.nbytes, weight.nbytes]
times = {name: [milliseconds(way[name]) for way in ways.values()] for name in ways["fastconv"]}
print(f"{'':24}" + "".join(f"{way:>16}" for way in ways))
print(f"{'bytes':24}" + "".join(f"{number:16,}" for number in kept))
for name, row in times.items():
    print(f"{name + ', ms':24}" + "".join(f"{number:16.2f}" for number in row))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1, 2), layout="constrained")
colours = ["C0", "C1", "C2"]
left.bar_label(left.bar(list(ways), kept, color=colours), fmt="{:,.0f}")
left.set(yscale="log", title="Bytes", ylim=(100, 1e8))
for i, (way, colour) in enumerate(zip(ways, colours, strict=True)):
    bars = right.bar(np.arange(3) + 0.28 * (i - 1), [row[i] for row in times.values()], 0.26, color=colour, label=way)
    right.bar_label(bars, fmt="{:.3g}")
right.set(yscale="log", title="Milliseconds")
right.set_xticks(range(3), list(times))
right.set_ylim(top=5 * right.get_ylim()[1])
right.legend(ncols=3, loc="upper center")
plt.show()
