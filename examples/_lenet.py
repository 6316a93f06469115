"""LeNet-5 and its training, of fastconv's ops and gradients and NumPy alone; the examples share it.

The net is that of LeCun et al., "Gradient-based learning applied to document recognition", 1998, in today's dress:
ReLU, max pooling, softmax.
"""

from __future__ import annotations

import numpy as np
from _data import shifted

import fastconv

# ---- layers: forward keeps what backward needs; backward takes and returns the gradient of the loss


class Conv:
    """Convolution by 5x5 filters and a ReLU, which fastconv applies as it stores the result."""

    def __init__(self, rng: np.random.Generator, channels: int, filters: int, first: bool = False) -> None:
        scale = np.sqrt(2 / (channels * 5 * 5))  # keeps the variance through a ReLU (He et al., 2015)
        if first:
            scale *= 0.3  # starts low, so that the picture of its filters shows what was learned, not what was dealt
        self.weight = (rng.standard_normal((filters, channels, 5, 5)) * scale).astype(np.float32)
        self.bias = np.zeros(filters, np.float32)
        # The gradient with respect to the images themselves is of no use: the first layer does not ask for it.
        self.needs = ("weight", "bias") if first else ("input", "weight", "bias")

    def forward(self, x):
        self.x = x
        self.y = fastconv.conv2d(x, self.weight, self.bias, activation="relu")
        return self.y

    def backward(self, grad):
        grad = grad * (self.y > 0)
        grad_x, *self.grads = fastconv.conv2d_backward(grad, self.x, self.weight, needs=self.needs)
        return grad_x

    @property
    def params(self):
        return self.weight, self.bias


class MaxPool:
    """The largest of each 2x2 block."""

    params = ()
    grads = ()

    def forward(self, x):
        self.shape = x.shape
        y, self.indices = fastconv.max_pool2d(x, 2, return_indices=True)
        return y

    def backward(self, grad):
        return fastconv.max_pool2d_backward(grad, self.indices, self.shape, 2)


class Dense:
    """Every output sees every input."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int, relu: bool) -> None:
        self.weight = (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)
        self.relu = relu

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        self.y = self.x @ self.weight + self.bias
        return np.maximum(self.y, 0) if self.relu else self.y

    def backward(self, grad):
        if self.relu:
            grad = grad * (self.y > 0)
        self.grads = self.x.T @ grad, grad.sum(axis=0)
        return (grad @ self.weight.T).reshape(self.shape)

    @property
    def params(self):
        return self.weight, self.bias


def lenet5(rng: np.random.Generator, classes: int = 10):
    """Layers with the output sizes of the paper; the 120 units of C5 are filters that just cover the 5x5 image."""
    return [
        Conv(rng, 1, 6, first=True),  # C1   6 x 28 x 28
        MaxPool(),  #                   S2   6 x 14 x 14
        Conv(rng, 6, 16),  #            C3  16 x 10 x 10
        MaxPool(),  #                   S4  16 x  5 x  5
        Conv(rng, 16, 120),  #          C5 120 x  1 x  1
        Dense(rng, 120, 84, relu=True),  # F6
        Dense(rng, 84, classes, relu=False),  # one score a digit
    ]


def softmax_cross_entropy(scores, labels):
    """Mean loss of a batch, and its gradient with respect to the scores."""
    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    grad = np.exp(log_p)
    grad[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), grad / len(labels)


class Adam:
    """Steps scaled by running means of the gradient and of its square (Kingma & Ba, 2015), all parameters at once."""

    def __init__(self, params) -> None:
        self.mean, self.square = np.zeros((2, sum(p.size for p in params)), np.float32)
        self.steps = 0

    def step(self, params, grads, rate: float) -> None:
        self.steps += 1
        rate *= np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)  # the means began at zero
        grad = np.concatenate([g.ravel() for g in grads])
        self.mean += np.float32(0.1) * (grad - self.mean)
        self.square += np.float32(0.001) * (grad * grad - self.square)
        change = np.float32(rate) * self.mean / (np.sqrt(self.square) + np.float32(1e-8))
        end = 0
        for p in params:
            start, end = end, end + p.size
            p -= change[start:end].reshape(p.shape)


# ---- training


def predict(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def accuracy(layers, images, labels) -> float:
    return float((predict(layers, images).argmax(axis=1) == labels).mean())


def train(layers, x, labels, epochs: int, rng: np.random.Generator, *, batch: int = 32, rate: float = 2e-3, shift=0):
    """Train the layers in place, by a rate that falls to 0 as half a cosine; yields the losses of each epoch's steps.

    Every time an image is seen it is moved by up to `shift` pixels.
    """
    params = [p for layer in layers for p in layer.params]
    adam = Adam(params)
    batch = min(batch, len(x))
    steps, step = epochs * (len(x) // batch), 0
    for _ in range(epochs):
        losses = []
        for chosen in rng.permutation(len(x))[: len(x) // batch * batch].reshape(-1, batch):
            seen = shifted(x[chosen], shift, shift, rng) if shift else x[chosen]
            loss, grad = softmax_cross_entropy(predict(layers, seen), labels[chosen])
            for layer in reversed(layers):
                grad = layer.backward(grad)
            grads = [g for layer in layers for g in layer.grads]
            adam.step(params, grads, rate * (1 + np.cos(np.pi * step / steps)) / 2)
            losses.append(loss)
            step += 1
        yield losses
