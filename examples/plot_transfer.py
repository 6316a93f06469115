"""
Transfer: a frozen extractor, and fine-tuning
=============================================

LeNet-5 learns the digits 0 to 4. Then it shall tell 5 to 9 apart, of which few are labelled. Three ways: a new net from
scratch; the convolutions of the old net as they are, *frozen*, under a new head; and the same with the convolutions
trained further, *fine-tuned*. Each takes the same number of steps.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np
from _data import digits
from _lenet import Dense, accuracy, lenet5, predict, train

x, test_x, y, test_y = digits(32, centred=True)
old, new, test_new = y < 5, y >= 5, test_y >= 5

# %%
# The old task
# ------------
# The first five layers, up to the 120 units of C5, are what is transferred.

rng = np.random.default_rng(0)
net = lenet5(rng, classes=5)
for _ in train(net, x[old], y[old], 8, rng):
    pass
print(f"digits 0 to 4: test accuracy {accuracy(net, test_x[~test_new], test_y[~test_new]):.1%}")
extractor = net[:5]

# %%
# The new task
# ------------
# A frozen layer needs no gradient: its outputs are computed once, and the head alone is trained on them, as if they
# were the data. To fine-tune is to train a copy of all layers.

x, y, test_x, test_y = x[new], y[new] - 5, test_x[test_new], test_y[test_new] - 5
STEPS = 60


def head(rng):
    return [Dense(rng, 120, 84, relu=True), Dense(rng, 84, 5, relu=False)]


def fitted(layers, images, labels, rng, rate):
    epochs = STEPS // max(1, len(images) // 32)
    for _ in train(layers, images, labels, epochs, rng, rate=rate):
        pass
    return layers


def scratch(images, labels, rng):
    return fitted(lenet5(rng, classes=5), images, labels, rng, 2e-3)


def frozen(images, labels, rng):
    return extractor + fitted(head(rng), predict(extractor, images), labels, rng, 2e-3)


def fine_tuned(images, labels, rng):
    return fitted(copy.deepcopy(extractor) + head(rng), images, labels, rng, 2e-3)


ways = {"from scratch": scratch, "frozen extractor": frozen, "fine-tuned": fine_tuned}
amounts = [1, 2, 5, 10, 20, 50]  # labelled images of each digit
scores = {name: np.empty((3, len(amounts))) for name in ways}  # three draws of them
for draw in range(3):
    order = np.random.default_rng(draw).permutation(len(y))
    ranked = [order[y[order] == digit] for digit in range(5)]
    for column, amount in enumerate(amounts):
        chosen = np.concatenate([rank[:amount] for rank in ranked])
        for name, way in ways.items():
            layers = way(x[chosen], y[chosen], np.random.default_rng(draw))
            scores[name][draw, column] = accuracy(layers, test_x, test_y)

print("labelled a digit ", *(f"{amount:6}" for amount in amounts))
for name, score in scores.items():
    print(f"{name:17}", *(f"{mean:6.1%}" for mean in score.mean(axis=0)))

# %%
# The mean of three draws, and their range.

figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, score), style in zip(scores.items(), ("o:", "s--", "D-"), strict=True):
    line = axis.semilogx(amounts, score.mean(axis=0), style, label=name, markersize=5)
    axis.fill_between(amounts, score.min(axis=0), score.max(axis=0), color=line[0].get_color(), alpha=0.15)
axis.set_xticks(amounts, amounts)
axis.minorticks_off()
axis.set(xlabel="labelled images of each of the digits 5 to 9", ylabel="test accuracy")
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)
plt.show()
