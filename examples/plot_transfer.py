"""
Transfer: frozen layers, and fine-tuning
========================================

LeNet-5 learns the digits 0 to 4. Then it shall tell 5 to 9 apart, of which few are labelled. Its first layers are
transferred to a net with a new end, and are either *frozen*, left as they are, or *fine-tuned*, trained further. A new
net from scratch is the rival. Each takes the same number of steps.

What could there be to transfer? The old digits were shifted by up to three pixels while they were learned. The few new
ones are not, but those of the test are.
"""

import copy
import itertools

import matplotlib.pyplot as plt
import numpy as np
from _data import digits, shifted
from _lenet import accuracy, lenet5, predict, train

x, test_x, y, test_y = digits(32, centred=True)
old, new, test_new = y < 5, y >= 5, test_y >= 5

# %%
# The old task
# ------------

rng = np.random.default_rng(0)
net = lenet5(rng, classes=5)
for _ in train(net, x[old], y[old], 8, rng, shift=3):
    pass
test_x = shifted(test_x, 3, 3, rng)
print(f"shifted digits 0 to 4: test accuracy {accuracy(net, test_x[~test_new], test_y[~test_new]):.1%}")

# %%
# The new task
# ------------
# A frozen layer needs no gradient: what frozen layers say is computed once, and the layers above are trained on it as
# if it were the data.

x, y, test_x, test_y = x[new], y[new] - 5, test_x[test_new], test_y[test_new] - 5
WAYS = {  # how many layers are transferred, and how many of these are frozen
    "from scratch": (0, 0),
    "fine-tuned": (4, 0),
    "frozen up to the second pooling": (4, 4),
    "frozen up to the third convolution": (5, 5),
}
STYLES = ("o:", "D-", "s--", "v-.")


def beginning(way, images, rng):
    """The layers to train, and what they see of `images` and of the test's."""
    transferred, frozen = way
    layers = copy.deepcopy(net[:transferred]) + lenet5(rng, classes=5)[transferred:]
    return layers[frozen:], predict(layers[:frozen], images), predict(layers[:frozen], test_x)


def drawn(amount, draw):
    """Numbers of so many images of each digit."""
    order = np.random.default_rng(draw).permutation(len(y))
    return np.concatenate([order[y[order] == digit][:amount] for digit in range(5)])


STEPS, DRAWS = 45, 3
amounts = [1, 3, 10, 30]  # labelled images of each digit
scores = {name: np.empty((DRAWS, len(amounts))) for name in WAYS}
for draw, (column, amount) in itertools.product(range(DRAWS), enumerate(amounts)):
    chosen = drawn(amount, draw)
    epochs = STEPS // max(1, len(chosen) // 32)
    for name, way in WAYS.items():
        rng = np.random.default_rng(draw)
        layers, seen, test_seen = beginning(way, x[chosen], rng)
        for _ in train(layers, seen, y[chosen], epochs, rng):
            pass
        scores[name][draw, column] = accuracy(layers, test_seen, test_y)

print(f"{'labelled images a digit':36}", *(f"{amount:6}" for amount in amounts))
for name, score in scores.items():
    print(f"{name:36}", *(f"{mean:6.1%}" for mean in score.mean(axis=0)))

# %%
# And how fast they learn: the accuracy after every three steps on twenty images of each digit.

chosen = drawn(20, 0)
curves = {}
for name, way in WAYS.items():
    rng = np.random.default_rng(0)
    layers, seen, test_seen = beginning(way, x[chosen], rng)
    curves[name] = [accuracy(layers, test_seen, test_y) for _ in train(layers, seen, y[chosen], STEPS // 3, rng)]

# %%
# On the left, the mean of three draws of labelled images, and their range.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for (name, score), style in zip(scores.items(), STYLES, strict=True):
    (line,) = left.semilogx(amounts, score.mean(axis=0), style, label=name, markersize=5)
    left.fill_between(amounts, score.min(axis=0), score.max(axis=0), color=line.get_color(), alpha=0.1, linewidth=0)
    right.plot(np.arange(3, STEPS + 1, 3), curves[name], style, markersize=4)
left.set_xticks(amounts, amounts)
left.minorticks_off()
left.set(xlabel="labelled images of each of the digits 5 to 9", ylabel="test accuracy")
right.set(xlabel="steps, with 20 labelled images of each")
left.legend(frameon=False, loc="lower right")
for axis in (left, right):
    axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# With few labelled images there is nothing between the first three ways but luck. With more, the first layers of the
# old net, frozen or fine-tuned, bring a little of what they learned with the old digits: to bear shifts.
# The third convolution is worse than a new one: it has learned to tell 0 to 4 apart, and what these have in common with
# 5 to 9 ends before.
