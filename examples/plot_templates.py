"""
Digits by matching filters
==========================

The simplest classifier that convolution offers: the mean image of every digit is a filter, and the filter that answers
loudest names the digit. It reads nine digits of ten, as long as they stand where, and as, the mean images stand. Here
they are shifted, turned, skewed and zoomed until it fails, and pooling is asked to mend that. It does, for what it
pools over, and for nothing else.
"""

import matplotlib.pyplot as plt
import numpy as np
from _data import digits
from scipy.ndimage import affine_transform

import fastconv

SIZE, MARGIN = 20, 6
x, test_x, y, test_y = digits(SIZE)

# %%
# The filters
# -----------
# A mean image less its own mean, so that ink where there should be none counts against it, and of length 1, so that
# digits with much ink have no start: ten filters of 20x20.


def normalised(filters):
    filters = filters - filters.mean(axis=(1, 2, 3), keepdims=True)
    return (filters / np.linalg.norm(filters, axis=(2, 3), keepdims=True)).astype(np.float32)


templates = normalised(np.stack([x[y == digit].mean(axis=0) for digit in range(10)]))

figure, axes = plt.subplots(1, 10, figsize=(10, 1.3), layout="constrained")
for axis, template in zip(axes, templates[:, 0], strict=True):
    picture = axis.imshow(template, cmap="RdBu_r", vmin=-0.15, vmax=0.15)
    axis.axis("off")
figure.colorbar(picture, ax=axes, label="weight")
plt.show()

# %%
# What they answer
# ----------------
# The test images get a margin, and a filter answers at each of the 13x13 places where it can stand. A digit in the
# middle is named by the answers in the middle. The same digit 4 pixels to the right gets the same answers, 4 pixels to
# the right: they are all there, but no longer in the middle. Where the largest stands, whatever the filter, is marked.

margin = [(0, 0), (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)]
canvas = np.pad(test_x, margin)
middle = fastconv.conv2d(canvas, templates)[:, :, MARGIN, MARGIN].argmax(axis=1)
shown = np.flatnonzero((middle == test_y) & (test_y == 3))[0]
pair = np.stack([canvas[shown], np.roll(canvas[shown], 4, axis=-1)])
answers = fastconv.conv2d(pair, templates)

figure, axes = plt.subplots(2, 11, figsize=(11, 2.4), layout="constrained")
for row, image, maps in zip(axes, pair[:, 0], answers, strict=True):
    row[0].imshow(image, cmap="gray_r")
    row[0].set(xticks=[], yticks=[])
    loudest, down, right = np.unravel_index(maps.argmax(), maps.shape)
    for digit, axis in enumerate(row[1:]):
        axis.imshow(maps[digit], cmap="RdBu_r", vmin=-answers.max(), vmax=answers.max())
        axis.plot(MARGIN, MARGIN, "+", color="black")
        axis.set(xticks=[], yticks=[])
    row[1 + loudest].plot(right, down, "o", color="black", fillstyle="none", markersize=9)
for digit, axis in enumerate(axes[0, 1:]):
    axis.set_title(f"filter {digit}", fontsize=9)
plt.show()

# %%
# Shift, rotation, skew, zoom
# ---------------------------
# Three readers. The first takes the answers in the middle. The second takes the largest in a window around it: *max
# pooling over places*. The third has seven versions of each filter, distorted as the images may be, and takes the
# largest of seven first: *max pooling over channels*, :func:`fastconv.channel_max_pool`.


def distorted(images, matrix, right=0):
    """Images as seen through a 2x2 matrix about their middle, moved to the right."""
    whole = np.eye(4)
    whole[2:, 2:] = matrix
    centre = (np.array(images.shape) - 1) / 2
    moved = affine_transform(images, whole, centre - whole @ (centre + np.array([0, 0, 0, right])), order=1)
    return moved.astype(np.float32)


def turn(degrees):
    angle = np.deg2rad(degrees)
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]


def skew(slope):
    return [[1, 0], [slope, 1]]


def zoom(factor):
    return np.eye(2) / factor


def versions(matrices):
    """Each filter seen through each matrix, versions of a digit side by side: what channel_max_pool takes together."""
    return normalised(np.concatenate([distorted(templates, m) for m in matrices], axis=1).reshape(-1, 1, SIZE, SIZE))


def accuracy(images, filters, window):
    """Share of digits that are named by their largest answer in a window of places around the middle."""
    cut = slice(MARGIN - window // 2, images.shape[-1] - MARGIN + window // 2)
    answers = fastconv.conv2d(images[:, :, cut, cut], filters)
    answers = fastconv.channel_max_pool(answers, len(filters) // 10)
    return (fastconv.max_pool2d(answers, window)[:, :, 0, 0].argmax(axis=1) == test_y).mean()


experiments = [
    ("shift, pixels", range(7), lambda v: distorted(canvas, np.eye(2), v), None),
    ("rotation, degrees", range(0, 61, 10), lambda v: distorted(canvas, turn(v)), map(turn, range(-30, 31, 10))),
    ("skew", np.arange(0, 0.8, 0.15), lambda v: distorted(canvas, skew(v)), map(skew, np.linspace(-0.45, 0.45, 7))),
    ("zoom", np.arange(0.5, 1.4, 0.1), lambda v: distorted(canvas, zoom(v)), map(zoom, np.linspace(0.6, 1.2, 7))),
]
figure, axes = plt.subplots(2, 4, figsize=(12, 4.8), sharey="row", height_ratios=(1, 4), layout="constrained")
for (name, amounts, change, matrices), top, axis in zip(experiments, *axes, strict=True):
    readers = {"the middle": (templates, 1, "o-"), "largest of 5x5 places": (templates, 5, "s-")}
    if matrices is None:
        readers |= {"of 9x9": (templates, 9, "^C4--"), "of 13x13": (templates, 13, "vC5:")}
    else:
        readers["of 5x5 places and 7 filters"] = (versions(matrices), 5, "D-")
    images = [change(amount) for amount in amounts]
    for label, (filters, window, style) in readers.items():
        scores = [accuracy(image, filters, window) for image in images]
        axis.plot(amounts, scores, style, label=label, markersize=4)
        print(f"{name:18} {label:28}", *(f"{score:6.1%}" for score in scores))
    framed = [np.pad(image[shown, 0], 1, constant_values=0.3) for image in images[:: len(images) // 3]]
    top.imshow(np.hstack(framed), cmap="gray_r")
    top.axis("off")
    axis.set(xlabel=name, ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8)
axes[1, 0].set_ylabel("accuracy")
plt.show()

# %%
# Pooling over places mends shifts as far as its window reaches, at no cost in the middle. It does not mend a zoom, and
# it makes a rotation and a skew a little worse, since wrong filters too may now look for the place that suits them
# best. Pooling over versions of the filters mends what the versions were made for, and is dear: seven times the work.
# A net learns which versions it needs.
