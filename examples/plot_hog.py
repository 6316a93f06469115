"""
Histograms of oriented gradients
================================

Before networks learnt their features, people were found in photographs by histograms of oriented gradients (HOG): how
much slope a small cell has in each of nine directions [1]_. Gradients are a convolution, histograms are average pooling
of nine channels, and blocks of cells are the windows of :func:`fastconv.im2col`. The result is that of scikit-image.

.. [1] Navneet Dalal, Bill Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from sklearn.datasets import load_sample_image

import fastconv

CELL, BLOCK, BINS = 8, 3, 9
photo = load_sample_image("flower.jpg")[:424]  # whole cells
grey = photo @ np.array([0.299, 0.587, 0.114])

# %%
# Gradients
# ---------
#
# Plain differences of the two neighbours: the paper found that nothing wider or smoother does better. At the border,
# where a neighbour is missing, the difference counts as zero.

difference = np.array([-1.0, 0.0, 1.0])
across = np.pad(fastconv.conv2d(grey[None], difference[None, None, None, :])[0], ((0, 0), (1, 1)))
down = np.pad(fastconv.conv2d(grey[None], difference[None, None, :, None])[0], ((1, 1), (0, 0)))
magnitude = np.hypot(across, down)
angle = np.rad2deg(np.arctan2(down, across)) % 180  # from dark to light or from light to dark: the same

# %%
# Colour is the direction here, brightness the magnitude.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.1), layout="constrained")
brightness = (magnitude / np.percentile(magnitude, 99)).clip(0, 1)
axes[0].imshow(photo)
axes[0].set_title("Photograph")
axes[1].imshow(hsv_to_rgb(np.stack([angle / 180, np.full_like(angle, 0.8), brightness], axis=-1)))
axes[1].set_title("Gradient")
for ax in axes:
    ax.axis("off")
plt.show()

# %%
# Cells
# -----
#
# One channel for each range of 20 degrees, the magnitude where a pixel's gradient lies in it and zero elsewhere: the
# average of each channel over cells of 8x8 pixels is the histogram of each cell.

channels = np.where(angle // (180 / BINS) == np.arange(BINS)[:, None, None], magnitude, 0)
histograms = fastconv.avg_pool2d(channels, CELL)
print(f"{channels.shape} becomes {histograms.shape}")
assert np.isclose(histograms.sum() * CELL**2, magnitude.sum())  # every pixel is in one bin

figure, axes = plt.subplots(3, 3, figsize=(9, 6.6), layout="constrained")
for i, ax in enumerate(axes.flat):
    ax.imshow(histograms[i], cmap="magma", vmax=histograms.max() / 2)
    ax.set_title(f"{20 * i} to {20 * (i + 1)} degrees")
    ax.axis("off")
plt.show()

# %%
# A cell is commonly drawn as a star: for each bin a line along the edge, which is at right angles to the gradient, as
# visible as the bin is full.

_, rows, columns = histograms.shape
middle = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) * CELL + (CELL - 1) / 2
edge = np.deg2rad((np.arange(BINS) + 0.5) * 180 / BINS + 90)
arm = np.stack([np.cos(edge), np.sin(edge)], axis=-1)[:, None, None] * CELL / 2
strokes = np.stack([middle - arm, middle + arm], axis=-2).reshape(-1, 2, 2)
visible = (histograms.ravel() / np.percentile(histograms, 99.5)).clip(0, 1)

figure, ax = plt.subplots(figsize=(9, 6), layout="constrained")
ax.imshow(np.zeros_like(grey), cmap="gray")
ax.add_collection(LineCollection(strokes, colors="white", alpha=visible, linewidths=1))
ax.axis("off")
plt.show()

# %%
# Blocks
# ------
#
# Light changes all gradients of a neighbourhood alike. So blocks of 3x3 cells are divided by their length, cut off at
# 0.2, and divided by their length again. Blocks overlap: they are the windows of a convolution, written out.


def normalised(block):
    """Each column with length one; the small term keeps those of a flat neighbourhood near zero."""
    return block / np.sqrt((block**2).sum(axis=0) + 1e-5**2)


blocks = fastconv.im2col(histograms[None], BLOCK)[0]  # a column is one block, in the order of (bin, row, column)
blocks = normalised(np.minimum(normalised(blocks), 0.2))
descriptor = blocks.reshape(BINS, BLOCK, BLOCK, rows - BLOCK + 1, columns - BLOCK + 1).transpose(3, 4, 1, 2, 0)
print(f"{descriptor.size:,} numbers describe the photograph")

# %%
# The same by scikit-image, which sums its histograms in float32: 64 additions of positive numbers, each rounded to one
# part in 2**24, make a relative error of 64 such parts at most, and each of the two divisions doubles it.

try:
    from skimage.feature import hog
except ImportError:
    print("not compared: scikit-image is not installed")
else:
    expected = hog(grey, BINS, (CELL, CELL), (BLOCK, BLOCK), block_norm="L2-Hys", feature_vector=False)
    print("largest difference from scikit-image:", abs(descriptor - expected).max())
    np.testing.assert_allclose(descriptor, expected, rtol=4 * CELL**2 * 2**-24)
