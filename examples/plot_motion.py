"""
Which way does it move: convolution in three dimensions
=======================================================

A film is a volume of time, height and width. In it, what moves is tilted: a filter that is tilted likewise answers, and
no single frame can tell. Here real digits move in eight directions, and :func:`fastconv.conv3d` with filters that are
written down, not learned, says which: the motion energy of Adelson and Bergen, 1985.
"""

import matplotlib.pyplot as plt
import numpy as np
from _data import digits

import fastconv

# %%
# The films
# ---------
# Digits of 16x16 cross frames of 32x32 in eight frames, at one or two pixels a frame: (N, 1, 8, 32, 32).

FRAMES, SIZE = 8, 32
ARROWS = ("→", "↘", "↓", "↙", "←", "↖", "↑", "↗")
angles = np.arange(8) * np.pi / 4
_, images, _, _ = digits(16)
rng = np.random.default_rng(0)
images = images[:240]
direction = rng.integers(8, size=len(images))
speed = rng.uniform(1, 2, len(images))
films = np.zeros((len(images), 1, FRAMES, SIZE, SIZE), np.float32)
for film, image, angle, pace in zip(films[:, 0], images[:, 0], angles[direction], speed, strict=True):
    for time, frame in enumerate(film):
        way = pace * (time - (FRAMES - 1) / 2)
        row, column = np.rint((SIZE - 16) / 2 + way * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        frame[row : row + 16, column : column + 16] = image

right = (speed * (direction == 0)).argmax()
figure, axes = plt.subplots(1, 9, figsize=(12, 1.7), layout="constrained")
for time, (axis, frame) in enumerate(zip(axes, films[right, 0], strict=False)):
    axis.imshow(frame, cmap="gray_r")
    axis.axhline(16, color="C1", linewidth=0.8)
    axis.set_title(f"frame {time}")
axes[8].imshow(films[right, 0, :, 16], cmap="gray_r", aspect="auto")
axes[8].set_title("its line in time")
for axis in axes:
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# The filters
# -----------
# A wave that travels in direction :math:`\theta` at a speed of :math:`v`, under a bell that fades it out in time and
# space: :math:`\cos 2 \pi f (x \cos\theta + y \sin\theta - v t)`, and the same with a sine. Of the two answers the
# squares are added, so that it matters not where in the wave an edge stands: that is the energy. From each filter its
# mean is taken: an even grey is no motion.

SPEED, FREQUENCY = 2, 1 / 8
time, row, column = np.meshgrid(np.arange(5) - 2, np.arange(9) - 4, np.arange(9) - 4, indexing="ij")
bell = np.exp(-(time**2) / (2 * 1.2**2) - (row**2 + column**2) / (2 * 2.2**2))
way = np.cos(angles)[:, None, None, None] * column + np.sin(angles)[:, None, None, None] * row - SPEED * time
pairs = bell * np.stack([np.cos(2 * np.pi * FREQUENCY * way), np.sin(2 * np.pi * FREQUENCY * way)])
pairs -= pairs.mean(axis=(2, 3, 4), keepdims=True)
filters = pairs.reshape(16, 1, *bell.shape).astype(np.float32)  # eight cosines, then eight sines

figure, axes = plt.subplots(2, 5, figsize=(6, 2.7), layout="constrained")
for frames, line in zip((filters[0, 0], filters[1, 0]), axes, strict=True):
    for axis, frame in zip(line, frames, strict=True):
        axis.imshow(frame, cmap="RdBu_r", vmin=-1, vmax=1)
        axis.set(xticks=[], yticks=[])
figure.suptitle("two of the filters, → and ↘, frame by frame")
plt.show()

# %%
# Energy, and the answer
# ----------------------
# The mean energy of a direction over the whole film is global average pooling of the squares. The largest of eight is
# not yet the answer: a digit with upright strokes has much energy to the left and to the right, whichever way it moves.
# What tells is the energy of a direction against that of the opposite one,
# :math:`(E_\theta - E_{\theta + \pi}) / (E_\theta + E_{\theta + \pi})`, which does not depend on how many strokes there
# are of that direction. Of the middle frame alone a wave looks the same from both ends: the two energies are equal.


def energy(films, filters):
    """Of each film, the energy in eight directions at every place and time."""
    cosine, sine = np.split(fastconv.conv3d(films, filters) ** 2, 2, axis=1)
    return cosine + sine


def pooled(energies):
    return fastconv.adaptive_avg_pool3d(energies, 1)[:, :, 0, 0, 0]


energies = pooled(energy(films, filters))
opposite = np.roll(energies, 4, axis=1)
answers = {
    "largest energy": energies.argmax(axis=1),
    "largest against its opposite": ((energies - opposite) / (energies + opposite)).argmax(axis=1),
}
still = pooled(energy(films, filters[:, :, 2:3]))
np.testing.assert_allclose(still, np.roll(still, 4, axis=1), rtol=1e-3)

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for axis, (name, named) in zip(axes, answers.items(), strict=True):
    accuracy = (named == direction).mean()
    print(f"{name}: {accuracy:.1%}")
    table = np.zeros((8, 8), int)
    np.add.at(table, (direction, named), 1)
    axis.imshow(table, cmap="Blues")
    for (true, told), count in np.ndenumerate(table):
        if count:
            axis.text(told, true, count, ha="center", va="center", color="white" if count > 15 else "black")
    axis.set_xticks(range(8), ARROWS)
    axis.set_yticks(range(8), ARROWS)
    axis.set(title=f"{name}: {accuracy:.1%}", xlabel="answer", ylabel="motion")
plt.show()

# %%
# Where there is motion
# ---------------------
# Two digits in one film, one to the right and one to the left: the difference of the two energies tells them apart,
# pixel by pixel.

left = (speed * (direction == 4)).argmax()
film = np.concatenate([films[right], films[left]], axis=-2)[None]
rightward, leftward = energy(film, filters)[0, [0, 4]].mean(axis=1)
signed = rightward - leftward
figure, axes = plt.subplots(1, 3, figsize=(7, 4), layout="constrained")
for axis, picture, title in zip(axes, (film[0, 0, 0], film[0, 0, -1]), ("first frame", "last frame"), strict=False):
    axis.imshow(picture, cmap="gray_r")
    axis.set_title(title)
limit = np.abs(signed).max()
shown = axes[2].imshow(signed, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(3.5, 27.5, 59.5, 3.5))
axes[2].set(title="energy → less ←", xlim=(-0.5, 31.5), ylim=(63.5, -0.5))
for axis in axes:
    axis.set(xticks=[], yticks=[])
figure.colorbar(shown, ax=axes[2])
plt.show()
