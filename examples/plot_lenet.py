"""
A look inside LeNet-5
=====================

LeNet-5 is trained on digits, and then asked what it sees: its filters, its feature maps, the patches that excite its
neurons most, and, with one batch of occluded images, the pixels that an answer hangs on.
"""

import matplotlib.pyplot as plt
import numpy as np
from _data import digits
from _lenet import accuracy, lenet5, predict, train

import fastconv
from fastconv.arithmetic import Conv, Pool, summary

x, test_x, y, test_y = digits(32, centred=True)
rng = np.random.default_rng(0)
layers = lenet5(rng)
for epoch, losses in enumerate(train(layers, x, y, 6, rng, shift=2), 1):
    print(f"epoch {epoch}: loss {np.mean(losses):.3f}, test accuracy {accuracy(layers, test_x, test_y):.1%}")


def show(rows, title, **style):
    """Rows of small pictures."""
    height = len(rows) * 9 / max(len(row) for row in rows) + 0.4
    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=(9, height), layout="constrained", squeeze=False)
    for axis, picture in zip(axes.flat, (picture for row in rows for picture in row), strict=True):
        axis.imshow(picture, **style)
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    plt.show()


# %%
# Filters and feature maps
# ------------------------
# The first layer has six filters of 5x5; on a digit they give six maps, pooling shrinks these, and the second layer's
# filters, of 6x5x5 each, give sixteen.

first, pool, second = layers[0], layers[1], layers[2]
limit = np.abs(first.weight).max()
show([first.weight[:, 0]], "the six filters of the first layer", cmap="RdBu_r", vmin=-limit, vmax=limit)

image = test_x[test_y == 4][:1]
maps = first.forward(image)
show([maps[0]], "a 4 behind them", cmap="magma")
maps = second.forward(pool.forward(maps))
show(maps.reshape(2, 8, *maps.shape[2:]), "and in the second layer", cmap="magma")

# %%
# What excites a neuron most
# --------------------------
# Of all patches :math:`x` of length 1, a neuron with weights :math:`w` fires most at :math:`x = w/|w|`, where it gives
# :math:`|w|` and its bias (Cauchy and Schwarz). Two convolutions test that: one gives :math:`w \cdot x` for every patch
# of the test images, one, of their squares with ones, :math:`|x|^2`. No patch does better than :math:`w/|w|`; the best
# patches look like it, as far as strokes, which are smooth, can.

dots = fastconv.conv2d(test_x, first.weight)
lengths = np.sqrt(fastconv.conv2d(test_x**2, np.ones((1, 1, 5, 5), np.float32)))
strengths = np.linalg.norm(first.weight[:, 0], axis=(1, 2))
best = fastconv.conv2d(first.weight / strengths[:, None, None, None], first.weight)[:, :, 0, 0].diagonal()
np.testing.assert_allclose(best, strengths, rtol=1e-5)
answers = np.where(lengths > 0.5, dots / lengths, 0)  # no blank paper
assert (answers.max(axis=(0, 2, 3)) <= strengths * (1 + 1e-5)).all()


def top_patches(maps, size, step, count):
    """Of each channel the patches of test images where it is largest, each from another image; best first."""
    channels = maps.swapaxes(0, 1).reshape(maps.shape[1], len(maps), -1)
    for values in channels:
        images = values.max(axis=1).argsort()[::-1][:count]
        corners = np.array(np.unravel_index(values[images].argmax(axis=1), maps.shape[2:])).T * step
        yield [test_x[i, 0, r : r + size, c : c + size] for i, (r, c) in zip(images, corners, strict=True)]


patches = [
    [weight[0] / strength, *(patch / np.linalg.norm(patch) for patch in top)]
    for weight, strength, top in zip(first.weight, strengths, top_patches(answers, 5, 1, 7), strict=True)
]
show(patches, "w / |w|, and the seven patches of length 1 that excite it most", cmap="RdBu_r", vmin=-0.5, vmax=0.5)
for number, (strength, answer) in enumerate(zip(strengths, answers.max(axis=(0, 2, 3)), strict=True)):
    print(f"filter {number}: w / |w| gives {strength:.3f}, the best of {answers[:, 0].size} patches {answer:.3f}")

# %%
# A neuron of the second layer sees more of the image, 14x14 pixels, two pixels from one neuron to the next. Here are
# the patches that excite each of the sixteen most, one column each: strokes, corners, ends.

seen = summary([Conv(6, 5), Pool(2), Conv(16, 5)], (1, 32, 32))[-1].receptive_field
tops = top_patches(predict(layers[:3], test_x), seen[0], 2, 6)
show(list(zip(*tops, strict=True)), f"patches of {seen[0]}x{seen[1]} that excite the second layer", cmap="gray_r")

# %%
# What an answer hangs on
# -----------------------
# A square of paper, 8x8, is laid on every place of the image, two pixels apart: 169 images, one batch. Where the
# probability of the right answer falls, the net needs what was covered.


def occlusion(image, label, size=8, step=2):
    corners = range(0, 32 - size + 1, step)
    batch = np.repeat(image[None], len(corners) ** 2, axis=0)
    for occluded, (row, column) in zip(batch, ((r, c) for r in corners for c in corners), strict=True):
        occluded[:, row : row + size, column : column + size] = test_x.min()
    scores = predict(layers, batch)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (odds[:, label] / odds.sum(axis=1)).reshape(len(corners), -1)


figure, axes = plt.subplots(2, 6, figsize=(10, 3.6), layout="constrained")
for (top, bottom), label in zip(axes.T, (0, 3, 4, 6, 8, 9), strict=True):
    image = test_x[test_y == label][0]
    heat = occlusion(image, label)
    top.imshow(image[0], cmap="gray_r")
    # A square's result is drawn at its middle, and over it the outline of the digit.
    picture = bottom.imshow(heat, cmap="inferno", vmin=0, vmax=1, extent=(2.5, 28.5, 28.5, 2.5))
    bottom.contour(image[0], levels=[image.mean()], colors="tab:cyan", linestyles="solid")
    for axis in (top, bottom):
        axis.set(xticks=[], yticks=[], xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
    top.set_title(f"{label}; least {heat.min():.2f}")
figure.colorbar(picture, ax=axes, label="probability of the right digit")
plt.show()
