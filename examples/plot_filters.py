"""
Filters: smoothing, Sobel, Canny
================================

A filter is a convolution with weights chosen by hand. A mean and a Gaussian smooth a photograph, two Sobel filters tell
how steep it is and in which direction, and Canny's detector makes clean edges of that by a few maxima. Everything here
is :func:`fastconv.conv2d`, :func:`fastconv.max_pool2d`, or one of SciPy's filters as :mod:`fastconv.ndimage` has them.
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage
from sklearn.datasets import load_sample_image

import fastconv
from fastconv import ndimage

photo = load_sample_image("china.jpg").astype(np.float32) / 255  # height, width, colour


def show(pictures, **style):
    """Pictures side by side, under their titles."""
    size = 12, 8.2 / len(pictures) + 0.3
    axes = plt.subplots(1, len(pictures), figsize=size, layout="constrained")[1]
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture, **style)
        ax.set_title(title)
        ax.axis("off")
    plt.show()


# %%
# Smoothing
# ---------
#
# The three colours are filtered one by one, each by the same weights: a convolution with as many groups as channels.
# ``layout="NHWC"`` reads the picture as it lies; filters are always (out, in / groups, height, width). The border is
# repeated outwards first: the zeros of ``padding="same"`` would be a black frame that bleeds into the picture.


def each_colour(image, kernel):
    """Filter the channels of an (H, W, C) image."""
    height, width = kernel.shape
    framed = np.pad(image, ((height // 2, height // 2), (width // 2, width // 2), (0, 0)), mode="edge")
    weight = np.broadcast_to(kernel, (image.shape[2], 1, height, width))
    return fastconv.conv2d(framed, weight, groups=image.shape[2], layout="NHWC")


mean = np.full((9, 9), 1 / 81, np.float32)
bell = np.exp(-(np.arange(-12, 13, dtype=np.float32) ** 2) / (2 * 3**2))
bell /= bell.sum()
sharpen = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)  # and 4 times its excess over the mean around

smooth = each_colour(photo, np.outer(bell, bell))
show(
    {
        "Photograph": photo,
        "Mean of 9x9": each_colour(photo, mean),
        "Gaussian, sigma 3": smooth,
        "Sharpened": each_colour(photo, sharpen).clip(0, 1),
    }
)

# %%
# A Gaussian is separable. Along one axis, then along the other, it is the same filter for 2 x 25 multiplications a
# pixel, not 25 x 25. So does :func:`fastconv.ndimage.gaussian_filter`.

by_axes = each_colour(each_colour(photo, bell[:, None]), bell[None, :])
print("both ways differ by", abs(by_axes - smooth).max())
assert np.allclose(by_axes, smooth, atol=1e-5)
assert np.allclose(ndimage.gaussian_filter(photo, 3, mode="nearest", axes=(0, 1)), smooth, atol=1e-5)

# %%
# Sobel
# -----
#
# One image with one channel, two filters: both derivatives in one call. As everywhere in neural networks a filter is
# laid on the image as it stands, not mirrored: the first is positive where the image gets brighter to the right, the
# second where it gets brighter downwards.

grey = photo @ np.array([0.299, 0.587, 0.114], np.float32)  # brightness as the eye weighs the three colours
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def slopes(image):
    """Derivatives across and down."""
    return fastconv.conv2d(np.pad(image, 1, mode="edge")[None], np.stack([sobel, sobel.T])[:, None])


across, down = slopes(grey)
assert np.allclose(across, ndimage.sobel(grey, 1, mode="nearest"), atol=1e-5)
detail = np.s_[20:230, 70:390]
titles = "Across (red: brighter to the right)", "Down (red: brighter downwards)"
show(dict(zip(titles, (across[detail], down[detail]), strict=True)), cmap="RdBu_r", vmin=-2, vmax=2)

# %%
# Canny
# -----
#
# Smooth a little, take the slope, and thin it: a pixel stays where no neighbour in the direction of its slope is
# steeper. There are four directions, so four maxima over three pixels in a row, from which each pixel takes its own.

across, down = slopes(ndimage.gaussian_filter(grey, 1.4))
steepness = np.hypot(across, down)
direction = np.rint(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
lines = [[[1, 1, 1]], np.eye(3), [[1], [1], [1]], np.eye(3)[::-1]]  # right, down and right, down, down and left
steepest = np.choose(direction, [ndimage.maximum_filter(steepness, footprint=line) for line in lines])
ridges = np.where(steepness == steepest, steepness, 0)

# %%
# What is steep is an edge; what is less steep is one too if it touches an edge. Edges grow by one pixel with every
# 3x3 maximum, as long as there is where to grow.

weak, edges, rounds = ridges > 0.25, ridges > 0.6, 0
while True:
    grown = fastconv.max_pool2d(edges[None], 3, stride=1, padding=1)[0] & weak
    rounds += 1
    if (grown == edges).all():
        break
    edges = grown
print(f"{edges.sum()} pixels are edges, after {rounds} rounds")

labels, _ = scipy.ndimage.label(weak, np.ones((3, 3)))  # the same, told by SciPy: connected pieces with a steep pixel
assert np.array_equal(edges, np.isin(labels, np.unique(labels[ridges > 0.6])) & weak)
show({"Photograph": grey, "Steepness": steepness, "Thinned": ridges, "Edges": edges}, cmap="gray", vmin=0, vmax=1)
