"""
Events in a sensor's signal: convolution in one dimension
=========================================================

Four kinds of events in noise, somewhere in 256 samples, as a vibration sensor might see them: a blow that rings and
dies away, a hum, and tones that rise and that fall. They are made by the formulas below. To the classifier that looks
at samples where they stand, every event is new, since it stands elsewhere; a net of 1-D convolutions under global max
pooling knows it again.
"""

import matplotlib.pyplot as plt
import numpy as np
from _lenet import Dense, MaxPool, accuracy, train
from sklearn.linear_model import LogisticRegression

import fastconv

# %%
# The signals
# -----------
# An event is :math:`a(t) \sin(2 \pi \varphi(t) + \varphi_0)` for :math:`0 \le t < 1`, which is 64 samples; its phase
# :math:`\varphi_0` and its place are random. There is normal noise on it with a standard deviation of 0.4.

t = np.linspace(0, 1, 64, endpoint=False)
swell = np.sin(np.pi * t)
EVENTS = {  # a(t), and phi(t) in turns
    "blow": (2 * np.exp(-5 * t), 8 * t),
    "hum": (swell, 8 * t),
    "rise": (swell, 4 * t + 4 * t**2),
    "fall": (swell, 12 * t - 4 * t**2),
}


def signals(count, rng):
    """As many signals, (N, 1, 256), their labels, and where the events begin."""
    labels, starts = rng.integers(len(EVENTS), size=count), rng.integers(256 - 64, size=count)
    x = 0.4 * rng.standard_normal((count, 1, 256)).astype(np.float32)
    for signal, label, start in zip(x[:, 0], labels, starts, strict=True):
        amplitude, turns = list(EVENTS.values())[label]
        signal[start : start + 64] += amplitude * np.sin(2 * np.pi * (turns + rng.random()))
    return x, labels, starts


rng = np.random.default_rng(0)
x, y, _ = signals(1000, rng)
test_x, test_y, test_starts = signals(500, rng)

figure, axes = plt.subplots(2, 2, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
for axis, (label, name) in zip(axes.flat, enumerate(EVENTS), strict=True):
    first = np.flatnonzero(test_y == label)[0]
    axis.plot(test_x[first, 0], linewidth=0.8)
    axis.axvspan(test_starts[first], test_starts[first] + 64, color="C1", alpha=0.15)
    axis.set_title(name, fontsize=10)
    axis.margins(x=0)
plt.show()

# %%
# The net
# -------
# Two layers of convolution, the maximum over time, and one score for each kind of event. LeNet-5's layers of these
# examples are for images; these are theirs in one dimension.


class Conv1d:
    """Convolution in time and a ReLU. Weights start low, so that filters show what was learned, not what was dealt."""

    def __init__(self, channels, filters, size):
        scale = 0.2 * np.sqrt(2 / (channels * size))
        self.weight = (rng.standard_normal((filters, channels, size)) * scale).astype(np.float32)
        self.bias = np.zeros(filters, np.float32)
        self.params = self.weight, self.bias

    def forward(self, x):
        self.x = x
        self.y = fastconv.conv1d(x, self.weight, self.bias, activation="relu")
        return self.y

    def backward(self, grad):
        grad_x, *self.grads = fastconv.conv1d_backward(grad * (self.y > 0), self.x, self.weight)
        return grad_x


class MaxPool1d(MaxPool):
    """The largest of windows of `size` samples."""

    def __init__(self, size):
        self.size = size

    def forward(self, x):
        self.shape = x.shape
        y, self.indices = fastconv.max_pool1d(x, self.size, return_indices=True)
        return y

    def backward(self, grad):
        return fastconv.max_pool1d_backward(grad, self.indices, self.shape, self.size)


# 256 samples, 240 after the first filters, 60 after pooling, 44 after the second filters: all of these are pooled.
layers = [Conv1d(1, 12, 17), MaxPool1d(4), Conv1d(12, 24, 17), MaxPool1d(44), Dense(rng, 24, len(EVENTS), relu=False)]
history = [accuracy(layers, test_x, test_y) for _ in train(layers, x, y, 8, rng, rate=4e-3)]

linear = LogisticRegression(max_iter=1000).fit(x[:, 0], y).score(test_x[:, 0], test_y)
print(f"logistic regression on the samples: {linear:.1%}")
print(f"1-D convolutions, max over time:    {history[-1]:.1%}")

# %%
# What it learned
# ---------------
# On the left, how it learned. Then the filters of the first layer: pieces of waves, the fastest at the top. On the
# right, how strongly these answer while a tone rises or falls, on average over all such signals of the test, each cut
# where its event begins: the answers wander from slow filters to fast ones, or back.

filters = layers[0].weight[:, 0]
fastest_first = np.abs(np.fft.rfft(filters, 256)).argmax(axis=1).argsort()[::-1]
answers = layers[0].forward(test_x)[:, fastest_first]
steps = 64 - filters.shape[1] + 1
means = {}
for name in ("rise", "fall"):
    chosen = np.flatnonzero(test_y == list(EVENTS).index(name))
    means[name] = np.mean([answers[i, :, test_starts[i] : test_starts[i] + steps] for i in chosen], axis=0)

figure, (left, middle, *right) = plt.subplots(1, 4, figsize=(12, 3.6), layout="constrained")
left.plot(range(1, len(history) + 1), history, "o-", label="1-D convolutions")
left.axhline(linear, color="C1", linestyle="--", label="logistic regression\non the samples")
left.set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1.02))
left.legend(frameon=False, loc="center right")
for row, weights in enumerate(filters[fastest_first]):
    middle.plot(weights / np.abs(weights).max() / 2.5 - row, color="C0")
middle.set(title="filters", yticks=[], xlabel="samples", ylim=(0.5 - len(filters), 0.5))
loudest = np.maximum(*means.values()).max(axis=1, keepdims=True)
for axis, (name, mean) in zip(right, means.items(), strict=True):
    axis.imshow(mean / loudest, aspect="auto", cmap="magma", vmin=0, vmax=1)
    axis.set(title=f"answers to a {name}", yticks=[], xlabel="samples since it began")
plt.show()
