"""
Scale space and keypoints
=========================

Where is something in a photograph, and how large is it? SIFT's answer [1]_: smooth the image by wider and wider
Gaussians, subtract each from the next, and stack the differences. A spot of any size is an extremum of this volume, in
space and in scale at once, and extrema are found by one :func:`fastconv.max_pool3d`.

.. [1] David G. Lowe, "Distinctive image features from scale-invariant keypoints", International Journal of Computer
   Vision 60(2), 2004.
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import EllipseCollection
from sklearn.datasets import load_sample_image

import fastconv
from fastconv import ndimage

STEP = 2 ** (1 / 3)  # three scales to an octave
SIGMAS = 1.6 * STEP ** np.arange(12)
SIZES = SIGMAS[:-1] * STEP**0.5  # a difference of two Gaussians answers most to a spot between them


def differences(image):
    """The volume (scale, y, x): each smoothed image minus the one before."""
    smoothed = np.stack([ndimage.gaussian_filter(image, sigma, mode="nearest") for sigma in SIGMAS])
    return np.diff(smoothed, axis=0)


def extrema(volume, threshold):
    """Positions (scale, y, x) of elements that no neighbour exceeds in size and that are larger than a threshold."""
    found = np.zeros(volume.shape, bool)
    for signed in (volume, -volume):  # dark spots, bright spots
        highest = fastconv.max_pool3d(signed[None], 3, stride=1, padding=1)[0]
        found |= (signed == highest) & (signed > threshold)
    found[[0, -1]] = False  # the first and the last scale have neighbours on one side only
    return np.argwhere(found)


# %%
# A spot of known size
# --------------------
#
# Three Gaussian spots of three sizes: each is found where it is drawn, and at the scale nearest to its size.

spots = np.array([[4, 80, 60], [6, 80, 180], [10, 80, 320]])  # sigma, y, x
y, x = np.indices((160, 420), np.float32)
drawn = sum(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2)) for sigma, cy, cx in spots)
volume = differences(drawn)
found = extrema(volume, 0.05)
print("found at (scale, y, x):", *found.tolist())
assert np.array_equal(found[:, 1:], spots[:, 1:])
assert [abs(SIZES - sigma).argmin() for sigma, _, _ in spots] == found[:, 0].tolist()

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3), width_ratios=(1.3, 1), layout="constrained")
left.imshow(drawn, cmap="gray")
left.set_title("Spots")
left.axis("off")
for (sigma, cy, cx), colour in zip(spots, ("C0", "C1", "C3"), strict=True):
    right.plot(SIZES, -volume[:, cy, cx], "o-", color=colour, label=f"sigma {sigma}")
    right.axvline(sigma, color=colour, linestyle=":")
right.set(xscale="log", xlabel="size", ylabel="difference", title="Differences at the centres of the spots")
right.set_xticks([2, 4, 6, 10, 16], [2, 4, 6, 10, 16])
right.minorticks_off()
right.legend()
plt.show()

# %%
# A photograph
# ------------
#
# Every third layer of its volume. Spots of growing size light up, bright ones in blue and dark ones in red.

photo = load_sample_image("flower.jpg")
grey = photo.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
volume = differences(grey)

figure, axes = plt.subplots(1, 4, figsize=(12, 2.3), layout="constrained")
for i, ax in zip((0, 3, 6, 9), axes, strict=True):
    ax.imshow(volume[i], cmap="RdBu_r", vmin=-0.1, vmax=0.1)
    ax.set_title(f"size {SIZES[i]:.1f}")
    ax.axis("off")
plt.show()

# %%
# Along an edge there are extrema too, which could as well lie elsewhere on it. Lowe keeps what curves in both
# directions. The three second derivatives of each layer are three filters, the layers a batch; of the matrix of them,
# the ratio of the two curvatures follows from trace and determinant.

point = extrema(volume, 0.015)
second = np.zeros((3, 1, 3, 3), np.float32)
second[0, 0, 1], second[1, 0, :, 1] = [1, -2, 1], [1, -2, 1]
second[2, 0] = np.outer([-1, 0, 1], [-1, 0, 1]) / 4
xx, yy, xy = fastconv.conv2d(volume[:, None], second, padding=1)[point[:, 0], :, point[:, 1], point[:, 2]].T
determinant = xx * yy - xy**2
kept = point[(determinant > 0) & ((xx + yy) ** 2 < (10 + 1) ** 2 / 10 * determinant)]
print(f"{len(point)} extrema, {len(kept)} keypoints")

# %%
# Each keypoint as a circle: that of a disc has the radius of the disc, which is the square root of 2 times the sigma
# that answers most.

figure, ax = plt.subplots(figsize=(9, 6), layout="constrained")
ax.imshow(grey, cmap="gray")
for sign, colour in ((1, "tomato"), (-1, "deepskyblue")):
    scale, y, x = kept[np.sign(volume[tuple(kept.T)]) == sign].T
    width = 2 * 2**0.5 * SIZES[scale]
    circles = EllipseCollection(width, width, 0 * width, units="xy", offsets=np.stack([x, y], 1), facecolors="none")
    circles.set(edgecolor=colour, offset_transform=ax.transData)
    ax.add_collection(circles)
ax.set_title("Keypoints: bright spots blue, dark spots red")
ax.axis("off")
plt.show()
