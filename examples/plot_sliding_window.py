"""
How convolution works
=====================

A window slides over the image. Wherever it stops, what lies in it is multiplied with the filter, number by number, and
summed: one number of the output. How far the window steps, and how far it may reach beyond the image, where zeros are
taken for the missing numbers, decide the size of the output. The numbers are those of a well-known guide [1]_.

.. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.patches import Rectangle

import fastconv
from fastconv.arithmetic import output_size, same_padding

image = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])
kernel = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]])


def board(ax, title, numbers):
    """Numbers in squares; returns the texts, to be changed later."""
    rows, columns = numbers.shape
    ax.hlines(range(rows + 1), 0, columns, color="0.8", linewidth=1)
    ax.vlines(range(columns + 1), 0, rows, color="0.8", linewidth=1)
    ax.set(title=title, xlim=(-0.1, columns + 0.1), ylim=(rows + 0.1, -0.1), aspect="equal")
    ax.axis("off")
    return {
        (row, column): ax.text(column + 0.5, row + 0.5, number, ha="center", va="center", fontsize=12)
        for (row, column), number in np.ndenumerate(numbers)
    }


def slide(stride=1, padding=0):
    """An animation of the window over the image, one frame for each number of the output."""
    framed = np.pad(image, padding)
    output = fastconv.conv2d(image[None], kernel[None, None], stride=stride, padding=padding)[0].astype(int)
    sides = len(framed), len(output)
    figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3.5), width_ratios=sides, layout="constrained")
    inputs = board(left, f"image 5x5, padding {padding}, stride {stride}", framed)
    for place, text in inputs.items():
        if not all(padding <= index < padding + 5 for index in place):
            text.set_color("0.45")
    left.add_patch(Rectangle((padding, padding), 5, 5, fill=False, linewidth=2, zorder=3))
    sums = board(right, f"output {len(output)}x{len(output)}", output)
    window = left.add_patch(Rectangle((0, 0), 3, 3, color="C0", alpha=0.3))
    weights = [left.text(0, 0, number, ha="right", va="bottom", color="C0", fontsize=8) for number in kernel.flat]
    here = right.add_patch(Rectangle((0, 0), 1, 1, color="C0", alpha=0.3))

    def step(frame):
        row, column = divmod(frame, output.shape[1])
        y, x = row * stride, column * stride
        seen = framed[y : y + 3, x : x + 3]
        assert (seen * kernel).sum() == output[row, column]  # what the picture says is what fastconv computed
        window.set_xy((x, y))
        here.set_xy((column, row))
        for weight, (down, across) in zip(weights, np.ndindex(3, 3), strict=True):
            weight.set_position((x + across + 0.9, y + down + 0.95))
        for (r, c), text in sums.items():
            text.set_visible((r, c) <= (row, column))
        terms = [f"{number}·{weight}" for number, weight in zip(seen.flat, kernel.flat, strict=True) if number * weight]
        figure.supxlabel(f"{' + '.join(terms)} = {output[row, column]}")

    step(0)
    animation = FuncAnimation(figure, step, frames=output.size, interval=700)
    figure.canvas.draw()  # the first frame, where no window opens
    figure.set_layout_engine("none")  # all others are laid out as this one
    return animation


# %%
# No padding
# ----------
#
# The window stays inside the image. A window of 3 has 5 - 3 + 1 = 3 places along an axis of 5. Small blue numbers are
# the filter's weights; products with a zero are left out below.

inside = slide()
assert output_size(5, 3) == 3
plt.show()

# %%
# Stride
# ------
#
# Every second of the 3 places: ``(5 - 3) // 2 + 1`` are left.

strided = slide(stride=2)
assert output_size(5, 3, stride=2) == (5 - 3) // 2 + 1 == 2
plt.show()

# %%
# Zero padding
# ------------
#
# One zero on each side makes the image 7 numbers wide, so that a stride of 2 has 3 places.

padded = slide(stride=2, padding=1)
assert output_size(5, 3, stride=2, padding=1) == (5 + 2 - 3) // 2 + 1 == 3
plt.show()

# %%
# Half padding, or "same"
# -----------------------
#
# With half a window of zeros, rounded down, on each side and stride 1, the output is as large as the image. That is
# what ``padding="same"`` asks for.

same = slide(padding=1)
assert same_padding(5, 3) == (1, 1)
assert output_size(5, 3, padding="same") == 5
plt.show()
