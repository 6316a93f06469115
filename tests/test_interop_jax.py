"""fastconv under JAX: derivatives by JAX's own checker, and random layers beside XLA's, compiled and mapped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close

pytest.importorskip("jax", "0.6", reason="jax 0.6 is not installed: fastconv.interop.jax is not tested")

import jax
import jax.numpy as jnp
from jax import lax
from jax.test_util import check_grads

import fastconv
import fastconv.interop.jax as ours

Array = NDArray[Any]


@pytest.fixture
def float64() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def normal(seed: int, *shape: int, dtype: DTypeLike = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Derivatives, by differences

LAYOUTS = [(None, (2, 4, 6, 5)), ("NHWC", (2, 6, 5, 4))]
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "conv": (
        partial(ours.conv2d, stride=2, padding=(1, 2), dilation=(2, 1), groups=2, flip=True),
        [(6, 2, 3, 3), (6,)],
    ),
    "conv_transpose": (
        partial(ours.conv_transpose2d, stride=2, padding="same", output_padding=(1, 0), groups=2, dilation=(1, 2)),
        [(4, 3, 3, 2), (6,)],
    ),
    "max_pool": (partial(ours.max_pool, kernel_size=3, stride=2, padding=1, ceil_mode=True), []),
    "avg_pool": (partial(ours.avg_pool, kernel_size=(3, 2), stride=2, padding=1, count_include_pad=False), []),
}


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(float64: None, name: str, layout: str | None, shape: tuple[int, ...]) -> None:
    function, others = FUNCTIONS[name]
    arrays = [normal(i, *size, dtype=np.float64) for i, size in enumerate([shape, *others])]
    squares = jax.jit(lambda *arrays: function(*arrays, layout=layout) ** 2)
    check_grads(squares, arrays, order=2, modes=["fwd", "rev"])


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_derivatives_in_other_ranks(float64: None, rank: int, batch: tuple[int, ...]) -> None:
    x, w = normal(0, *batch, 2, *(4,) * rank, dtype=np.float64), normal(1, 2, 2, *(2,) * rank, dtype=np.float64)
    for name in ("conv", "conv_transpose"):
        check_grads(partial(getattr(ours, f"{name}{rank}d"), padding=1), (x, w), order=2)
    for name in ("max_pool", "avg_pool"):
        check_grads(lambda x, name=name: getattr(ours, f"{name}{rank}d")(x, 2) ** 2, (x,), order=2)


# ---------------------------------------------------------------------------------------------------------------------
# Random layers beside XLA, compiled

FEW = settings(max_examples=8)  # XLA compiles each geometry


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))

    def axes(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank)))

    kernel = axes(1, 3)
    return {
        "kernel": kernel,
        "sizes": tuple(2 * (taps - 1) + 1 + more for taps, more in zip(kernel, axes(0, 3), strict=True)),
        "stride": axes(1, 3),
        "padding": tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)),
        "dilation": axes(1, 2),
        "last": draw(st.booleans()),
    }


def assert_same_gradients(found: Callable[..., Any], expected: Callable[..., Any], arrays: list[Array]) -> None:
    """Values and gradients, all compiled, within twice the bound of sums over all that there is: XLA rounds too."""
    v = normal(9, *jax.eval_shape(expected, *arrays).shape)

    def pulled(function: Callable[..., Any]) -> Callable[..., list[Array]]:
        def value_and_gradients(v: Any, *arrays: Any) -> list[Any]:
            value, pull = jax.vjp(function, *arrays)
            return [value, *pull(v)]

        return jax.jit(value_and_gradients)

    ours_compiled = pulled(found)
    terms = 2 * max(array.size for array in (*arrays, v))
    results = zip(
        ours_compiled(v, *arrays), pulled(expected)(v, *arrays), ours_compiled(*map(np.abs, (v, *arrays))), strict=True
    )
    for result, other, magnitude in results:
        assert result.dtype == other.dtype
        assert_close(np.asarray(result), np.asarray(other, np.float64), terms, 2 * np.asarray(magnitude, np.float64))


@FEW
@given(case=geometries(), groups=st.integers(1, 2), batch=st.integers(1, 2))
def test_conv(case: dict[str, Any], groups: int, batch: int) -> None:
    rank, letters = len(case["kernel"]), "DHW"[3 - len(case["kernel"]) :]
    layout = f"N{letters}C" if case["last"] else f"NC{letters}"
    shape = (batch, *case["sizes"], 2 * groups) if case["last"] else (batch, 2 * groups, *case["sizes"])
    x, w, b = normal(0, *shape), normal(1, 3 * groups, 2, *case["kernel"]), normal(2, 3 * groups)
    steps = {name: case[name] for name in ("stride", "padding", "dilation")}

    def expected(x: Any, w: Any, b: Any) -> Any:
        y = lax.conv_general_dilated(
            x,
            w,
            case["stride"],
            case["padding"],
            rhs_dilation=case["dilation"],
            dimension_numbers=(layout, f"OI{letters}", layout),
            feature_group_count=groups,
        )
        return y + b.reshape(-1, *(1,) * (0 if case["last"] else rank))

    assert_same_gradients(partial(ours.conv, **steps, groups=groups, layout=layout), expected, [x, w, b])


@FEW
@given(case=geometries(), batch=st.integers(1, 2))
def test_conv_transpose(case: dict[str, Any], batch: int) -> None:
    letters = "DHW"[3 - len(case["kernel"]) :]
    x, w = normal(0, batch, 2, *(size + 2 for size in case["sizes"])), normal(1, 2, 3, *case["kernel"])
    cuts = tuple((min(before, 1), min(after, 1)) for before, after in case["padding"])
    reach = [gap * (taps - 1) for gap, taps in zip(case["dilation"], case["kernel"], strict=True)]
    around = [(r - before, r - after) for r, (before, after) in zip(reach, cuts, strict=True)]

    def expected(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            jnp.flip(w, tuple(range(2, w.ndim))),
            (1,) * len(around),
            around,
            lhs_dilation=case["stride"],
            rhs_dilation=case["dilation"],
            dimension_numbers=(f"NC{letters}", f"IO{letters}", f"NC{letters}"),
        )

    found = partial(ours.conv_transpose, stride=case["stride"], padding=cuts, dilation=case["dilation"])
    assert_same_gradients(found, expected, [x, w])


@FEW
@given(case=geometries(), batch=st.integers(1, 2))
def test_pools(case: dict[str, Any], batch: int) -> None:
    x = normal(0, batch, 3, *case["sizes"])
    window, steps = (1, 1, *case["kernel"]), (1, 1, *case["stride"])

    def maxima(x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, window, steps, "VALID")

    def means(x: Any) -> Any:
        return lax.reduce_window(x, 0.0, lax.add, window, steps, "VALID") / np.prod(window).astype(np.float32)

    shared = {"kernel_size": case["kernel"], "stride": case["stride"]}
    assert_same_gradients(partial(ours.max_pool, **shared), maxima, [x])
    assert_same_gradients(partial(ours.avg_pool, **shared), means, [x])


# ---------------------------------------------------------------------------------------------------------------------
# Mapped


def net(x: Any, w: Any) -> Any:
    return ours.avg_pool(ours.max_pool(ours.conv(x, w, padding=1), 2), 2)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)])
@pytest.mark.parametrize("compiled", [False, True])
def test_vmap(axes: tuple[int | None, int | None], compiled: bool) -> None:
    x, w = normal(0, 5, 2, 3, 8, 8), normal(1, 5, 4, 3, 3, 3)
    pairs = [(x[i if axes[0] is not None else 0], w[i if axes[1] is not None else 0]) for i in range(5)]
    arrays = [a[0] if axis is None else np.moveaxis(a, 0, axis) for a, axis in zip((x, w), axes, strict=True)]
    mapped = jax.vmap(net, in_axes=axes)
    found = (jax.jit(mapped) if compiled else mapped)(*arrays)
    assert_array_equal(found, np.stack([net(*pair) for pair in pairs]))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_gradients_of_maps_and_maps_of_gradients(axes: tuple[int | None, int | None]) -> None:
    x, w = normal(0, 4, 2, 3, 8, 8), normal(1, 4, 4, 3, 3, 3)
    arrays = [a[0] if axis is None else a for a, axis in zip((x, w), axes, strict=True)]
    of_map = jax.grad(lambda x, w: (jax.vmap(net, in_axes=axes)(x, w) ** 2).sum(), (0, 1))(*arrays)
    mapped = jax.jit(jax.vmap(jax.grad(lambda x, w: (net(x, w) ** 2).sum(), (0, 1)), in_axes=axes))(*arrays)
    for found, each, axis in zip(of_map, mapped, axes, strict=True):
        other = each if axis == 0 else each.sum(axis=0)
        np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-5 * float(abs(other).max()))


def test_jacobians_agree(float64: None) -> None:
    x, w = normal(0, 1, 1, 4, 4, dtype=np.float64), normal(1, 1, 1, 3, 3, dtype=np.float64)

    def function(w: Any) -> Any:
        return jnp.sum(net(x, w) ** 3)

    forward, reverse = jax.hessian(function)(w), jax.jacrev(jax.jacrev(function))(w)  # the first is forward of reverse
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# As a user would use it

ONE_CPU = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.numpy as jnp
from fastconv.interop.jax import conv, max_pool

@jax.jit
def loss(x, w):
    for _ in range(3):
        x = jnp.tanh(conv(x, w, padding=1)) + x
    return jnp.sum(max_pool(x, 2) ** 2)

x, w = jnp.ones((16, 8, 64, 64)), jnp.full((8, 8, 3, 3), 0.01)
for _ in range(10):  # x is not waited for
    x = x * 1.01
    w = w - 1e-9 * jax.grad(loss, 1)(x, w)
print(float(loss(x, w)) > 0)
"""


def test_one_cpu_is_enough() -> None:
    """Where `jax.pure_callback` stops for ever."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(
        [sys.executable, "-c", ONE_CPU], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout == "True\n"


def test_a_net_learns_by_steps_that_are_compiled_once() -> None:
    traces = []

    @jax.jit
    def step(w: Any, x: Any, y: Any) -> tuple[Any, Any]:
        traces.append(1)
        error, slope = jax.value_and_grad(lambda w: jnp.mean((ours.conv(x, w, padding="same") - y) ** 2))(w)
        return error, w - 0.3 * slope

    x, true = normal(0, 4, 2, 12, 12), normal(1, 3, 2, 3, 3)
    y, w = fastconv.conv(x, true, padding="same"), jnp.zeros((3, 2, 3, 3))
    errors = []
    for _ in range(30):
        error, w = step(w, x, y)
        errors.append(float(error))
    assert errors[-1] < 1e-3 * errors[0]
    assert len(traces) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_types_stay(dtype: DTypeLike) -> None:
    x, w = normal(0, 1, 2, 6, 6, dtype=dtype), normal(1, 3, 2, 3, 3, dtype=dtype)
    for result in (net(x, w), jax.grad(lambda w: net(x, w).sum().astype(np.float32))(w)):
        assert result.dtype == dtype


def test_the_bias_counts_for_the_type(float64: None) -> None:
    random = np.random.default_rng(0)
    x, w = random.standard_normal((1, 3, 8, 8), np.float32), random.standard_normal((4, 3, 3, 3), np.float32)
    bias = random.standard_normal(4)
    got = ours.conv(x, w, bias)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, fastconv.conv(x.astype(float), w.astype(float), bias), rtol=1e-12)
    np.testing.assert_allclose(ours.conv(x, w, bias.tolist()), got)


def test_types_are_promoted() -> None:
    assert ours.conv(jnp.ones((1, 1, 3), int), jnp.ones((1, 1, 2), int)).dtype == jnp.result_type(float)
    assert ours.conv(np.ones((1, 1, 3), np.float16), np.ones((1, 1, 2), np.float32)).dtype == np.float32
    with pytest.raises(TypeError, match="conv: input has dtype bfloat16"):
        ours.conv(jnp.ones((1, 1, 3), jnp.bfloat16), jnp.ones((1, 1, 2), jnp.bfloat16))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ours.conv(x, np.ones((1, 1, 7, 7))), "conv: the dilated kernel exceeds the padded input"),
        (lambda x: ours.conv(x, np.ones((1, 1, 3, 3)), np.ones(2)), "conv: bias has shape (2,); needs (1,)"),
        (lambda x: ours.conv(x, np.ones((1, 1, 3, 3)), layout="HWC"), "conv: layout is 'HWC'"),
        (lambda x: ours.conv2d(x[0, 0], np.ones((1, 1, 3, 3))), "conv2d: input has shape (6, 6); needs 3 or 4 axes"),
        (lambda x: ours.conv_transpose(x, np.ones((1, 1, 3, 3)), output_padding=3), "output padding must not"),
        (lambda x: ours.max_pool(x, 2, padding=[1, [2, 3]]), "max_pool: padding is (1, (2, 3))"),
        (lambda x: ours.avg_pool(x, 7), "avg_pool: the dilated kernel exceeds"),
    ],
)
def test_errors_come_when_tracing(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.make_jaxpr(call)(np.ones((1, 1, 6, 6), np.float32))


def test_examples() -> None:
    import doctest

    results = doctest.testmod(ours)
    assert results.attempted
    assert not results.failed


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## JAX") :]
    block = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["gradient"].shape == names["filters"].shape
