"""
Pixels, edges, orientations, learned features
=============================================

One linear classifier reads digits from ten descriptions of them: pixels, edges, histograms of edge directions (HOG,
Dalal & Triggs, 2005, in small) and the features that LeNet-5 learns. It trains on digits that stand in the middle, and
is tested on those and on digits that are shifted by a pixel or two. Every description is one to three calls: a
convolution, and pooling over places or over directions.
"""

import matplotlib.pyplot as plt
import numpy as np
from _data import digits, shifted
from _lenet import lenet5, predict, train
from sklearn.linear_model import LogisticRegression

import fastconv

# Digits of 16x16 with a margin of 4, and of 8 for the net.
MARGIN = [(0, 0), (0, 0), (4, 4), (4, 4)]
x, test_x, y, test_y = digits(16)
x, test_x = np.pad(x, MARGIN), np.pad(test_x, MARGIN)
rng = np.random.default_rng(0)
tests = {
    "as in training": test_x,
    "sideways ±2": shifted(test_x, 0, 2, rng),
    "up, down ±2": shifted(test_x, 2, 0, rng),
    "both ±1": shifted(test_x, 1, 1, rng),
    "both ±2": shifted(test_x, 2, 2, rng),
}

# %%
# Eight directions and the strongest of them
# ------------------------------------------
# Sobel's filter turned to eight directions answers where ink begins in that direction; ReLU leaves out where it ends.
# :func:`fastconv.channel_max_pool` over the eight is the strength of an edge, whatever its direction. What pooling over
# channels drops, the direction, helps to tell digits apart; the table shows the price.

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 8
angles = np.arange(8) * np.pi / 4
turned = np.cos(angles)[:, None, None] * SOBEL + np.sin(angles)[:, None, None] * SOBEL.T


def directions(images):
    return fastconv.conv2d(images, turned[:, None].astype(np.float32), padding=1, activation="relu")


def strength(images):
    return fastconv.channel_max_pool(directions(images), 8)


figure, axes = plt.subplots(1, 10, figsize=(12, 1.7), layout="constrained")
arrows = ("→", "↘", "↓", "↙", "←", "↖", "↑", "↗")
maps = [test_x[0, 0], *directions(test_x[:1])[0], strength(test_x[:1])[0, 0]]
for axis, picture, title in zip(axes, maps, ("image", *arrows, "strongest"), strict=True):
    axis.imshow(picture, cmap="gray_r")
    axis.set_title(title)
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# Two nets
# --------
# LeNet-5 up to its 120 units of C5 is a description like any other. One is trained on the digits as they stand, the
# other on digits moved by up to two pixels.


def learned(shift):
    def centred(images):
        return np.pad(images, MARGIN) - x.mean()

    net_rng = np.random.default_rng(0)
    layers = lenet5(net_rng)
    for _ in train(layers, centred(x), y, 6, net_rng, shift=shift):
        pass
    return lambda images: predict(layers[:5], centred(images))


descriptions = {
    "pixels": lambda images: images,
    "pixels, max of 1x2": lambda images: fastconv.max_pool2d(images, (1, 2)),
    "pixels, max of 2x2": lambda images: fastconv.max_pool2d(images, 2),
    "edges": strength,
    "edges, max of 1x2": lambda images: fastconv.max_pool2d(strength(images), (1, 2)),
    "edges, max of 2x2": lambda images: fastconv.max_pool2d(strength(images), 2),
    "8 directions, max of 4x4": lambda images: fastconv.max_pool2d(directions(images), 4),
    "8 directions, mean of 6x6 (HOG)": lambda images: fastconv.avg_pool2d(directions(images), 6),
    "LeNet-5": learned(shift=0),
    "LeNet-5, trained on shifted digits": learned(shift=2),
}

# %%
# The table
# ---------
# The classifier is the same everywhere: logistic regression, on numbers that are centred and scaled to a mean square
# length of 1.

table = []
for name, describe in descriptions.items():
    seen = describe(x).reshape(len(x), -1)
    mean = seen.mean(axis=0)
    scale = np.linalg.norm(seen - mean) / np.sqrt(len(x))
    classifier = LogisticRegression(C=10, tol=1e-3).fit((seen - mean) / scale, y)
    rows = [(describe(images).reshape(len(images), -1) - mean) / scale for images in tests.values()]
    table.append([classifier.score(row, test_y) for row in rows])
    print(f"{name:35}{seen.shape[1]:5} numbers ", *(f"{score:6.1%}" for score in table[-1]))

figure, axis = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
axis.imshow(table, cmap="YlGn", vmin=0.2, vmax=1.4, aspect="auto")
for (row, column), score in np.ndenumerate(table):
    axis.text(column, row, f"{score:.1%}", ha="center", va="center")
axis.set_xticks(range(len(tests)), tests)
axis.set_yticks(range(len(table)), descriptions)
axis.xaxis.tick_top()
axis.tick_params(length=0)
axis.spines[:].set_visible(False)
plt.show()

# %%
# On digits that stand as in training the descriptions are within a few points of each other. On shifted ones:
#
# - Pooling pixels over 2x2 helps a little, most of all against shifts of one pixel; over 1x2 it helps sideways alone.
# - Edges alone do worse than pixels: a thin line moved by two pixels misses itself. The same answers with their
#   directions kept do best of what is made by hand, once they are pooled over large cells: HOG.
# - LeNet-5's convolutions and poolings do not by themselves make it deaf to shifts: trained on digits in the middle it
#   is no better than HOG. Trained on shifted digits, it is far better than all.
