"""
Arithmetic and receptive fields of LeNet-5 and AlexNet
======================================================

How large is what a layer gives, how much does it learn, how much does it compute, and how far does it see?
:mod:`fastconv.arithmetic` answers that from a description of the layers, without computing any convolution.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits, load_sample_image

from fastconv.arithmetic import Conv, Dense, Pool, output_size, receptive_field, summary

# %%
# LeNet-5
# -------
#
# Two convolutions, each followed by a pool, and three dense layers. Its table has weights and multiply-adds, and beside
# these how many weights a layer would have if its places did not share them (local), or if all its outputs saw all its
# inputs (dense).

lenet5 = [Conv(6, 5), Pool(2), Conv(16, 5), Pool(2), Dense(120), Dense(84), Dense(10)]
print(summary(lenet5, (1, 32, 32)))

# %%
# AlexNet, twice
# --------------
#
# The paper of 2012 speaks of images of 224x224, first filters of 11x11 at stride 4, and 55x55 outputs. Without padding
# that is a contradiction, and there are two ways out: images of 227x227, or a padding of 2. The first has the paper's
# filters, some of them in two groups as there were two GPUs; the second is that of "One weird trick" (2014), the one
# that torchvision has. Behind the first layer all sizes agree.

assert output_size(224, 11, stride=4) == 54
assert output_size(227, 11, stride=4) == output_size(224, 11, stride=4, padding=2) == 55


def alexnet(filters, first_padding, groups):
    """Five convolutions, the first two and the last with a pool, and three dense layers."""
    one, two, three, four, five = filters
    return [
        *(Conv(one, 11, stride=4, padding=first_padding), Pool(3, 2)),
        *(Conv(two, 5, padding=2, groups=groups), Pool(3, 2)),
        Conv(three, 3, padding=1),
        Conv(four, 3, padding=1, groups=groups),
        *(Conv(five, 3, padding=1, groups=groups), Pool(3, 2)),
        *(Dense(4096), Dense(4096), Dense(1000)),
    ]


of_2012 = alexnet((96, 256, 384, 384, 256), first_padding=0, groups=2)
of_2014 = alexnet((64, 192, 384, 256, 256), first_padding=2, groups=1)
nets = {
    "LeNet-5": (lenet5, (1, 32, 32)),
    "AlexNet, 2012: 227, no padding": (of_2012, (3, 227, 227)),
    "AlexNet, 2014: 224, padding 2": (of_2014, (3, 224, 224)),
}
tables = {title: summary(*net) for title, net in nets.items()}
for title, table in tables.items():
    print(f"{title}: {table.parameters:,} parameters, {table.multiply_adds:,} multiply-adds an image")
assert [table.parameters for table in tables.values()] == [61_706, 60_965_224, 61_100_840]
sizes = [[row.output_shape[-1] for row in table[:8]] for table in tables.values()]
assert sizes[1] == sizes[2] == [55, 27, 27, 13, 13, 13, 13, 6]

# %%
# Volumes
# -------
#
# Images shrink, channels grow: a slab is as high as the root of the image's side and as wide as the logarithm of the
# number of channels. Below it stand the layer that gives it, its channels and its sides. Red are the dense layers.

figure, axes = plt.subplots(3, 1, figsize=(9, 7.5), layout="constrained")
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    side = table[0].input_shape[-1]
    slabs = [("image", table[0].input_shape), *((row.name, row.output_shape) for row in table)]
    for i, (name, (channels, *sides)) in enumerate(slabs):
        width, height = 0.06 * np.log2(1 + channels), (sides[-1] / side) ** 0.5 if sides else 0.05
        ax.add_patch(Rectangle((i - width / 2, -height / 2), width, height, color="C0" if sides else "C3", alpha=0.7))
        label = f"{name}\n{channels}" + (f"\n{sides[0]}x{sides[1]}" if sides else "")
        ax.text(i, -0.55, label, ha="center", va="top", fontsize=9)
    ax.set(xlim=(-0.5, 11.5), ylim=(-0.95, 0.5), title=title)
    ax.axis("off")
plt.show()

# %%
# Receptive fields
# ----------------
#
# What a middle output of each layer sees of the image, from the first layer (yellow) to the last pool (blue). Strides
# make it grow: behind one of 2, each further tap reaches twice as far. Where the number of outputs is even, none lies
# quite in the middle.

digit = np.pad(np.kron(load_digits().images[3], np.ones((3, 3))), 4)  # 8x8, three times larger, in a frame: 32x32
flower = load_sample_image("flower.jpg")[100:327, 200:427].mean(axis=-1)

figure, axes = plt.subplots(1, 3, figsize=(12, 4.8), layout="constrained")
for ax, (title, (layers, (_, size, _))), picture in zip(axes, nets.items(), (digit, flower, flower), strict=True):
    sliding = [layer for layer in layers if not isinstance(layer, Dense)]
    fields = receptive_field(sliding, size)
    # Black becomes grey: on it the blue of the last pool is seen as well as the yellow of the first layer.
    ax.imshow(picture[:size, :size], cmap="gray", vmin=-picture.max(), extent=(0, size, size, 0))
    # Small squares lie on large ones, and are thinner: where sides meet, both are seen.
    for depth, (row, field) in enumerate(zip(tables[title], fields, strict=False)):
        first = field.start + field.jump * (row.output_shape[-1] // 2)
        colour = plt.colormaps["plasma"](1 - depth / (len(fields) - 1))
        edge = {"edgecolor": colour, "linewidth": 1.5 + 0.3 * depth, "zorder": 20 - depth, "label": row.name}
        ax.add_patch(Rectangle((first, first), field.size, field.size, fill=False, **edge))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, fontsize=8, frameon=False, handlelength=1)
    ax.set(xlim=(-0.02 * size, 1.02 * size), ylim=(1.02 * size, -0.02 * size))
    ax.set_title(f"{title}\nfields of {', '.join(str(field.size) for field in fields)}", fontsize=10)
    ax.axis("off")
    print(
        f"{title}: an output of the last pool sees {fields[-1].size} pixels, the next one begins {fields[-1].jump} on"
    )
plt.show()

# %%
# Where the weights are, and where the work is
# --------------------------------------------
#
# Not in the same layers: convolutions use each weight at every place, dense layers use theirs once.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    rows = [row for row in table if row.weights]
    place = np.arange(len(rows))
    ax.bar(place - 0.2, [100 * row.weight_share for row in rows], 0.4, label="weights")
    ax.bar(place + 0.2, [100 * row.multiply_add_share for row in rows], 0.4, label="multiply-adds")
    ax.set_xticks(place, [row.name for row in rows], rotation=45)
    ax.set_title(title, fontsize=10)
    work = sum(row.multiply_add_share for row in rows if isinstance(row.layer, Conv))
    learnt = sum(row.weight_share for row in rows if isinstance(row.layer, Conv))
    print(f"{title}: convolutions have {learnt:.0%} of the weights and do {work:.0%} of the work")
axes[0].set_ylabel("% of the net")
axes[0].legend()
plt.show()
