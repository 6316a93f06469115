"""fastconv under autograd: derivatives by autograd's own checker, and its own convolution on random axes."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close

pytest.importorskip("autograd", reason="autograd is not installed: fastconv.interop.autograd is not tested")

import autograd.numpy as anp
from autograd import elementwise_grad, grad, hessian, make_vjp, tensor_jacobian_product
from autograd.scipy import signal
from autograd.test_util import check_grads

import fastconv
import fastconv.interop.autograd as ours

Array = NDArray[Any]


@pytest.fixture(autouse=True)
def _the_same_directions_every_time() -> None:
    np.random.seed(0)  # noqa: NPY002  # autograd's checker draws from it


def normal(seed: int, *shape: int, dtype: DTypeLike = np.float64) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def apart(*shape: int) -> Array:
    """Numbers that finite differences do not bring together: maxima stay where they are."""
    return np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape) / 10


# ---------------------------------------------------------------------------------------------------------------------
# Derivatives, by differences

LAYOUTS = [(None, (2, 4, 6, 5)), ("NHWC", (2, 6, 5, 4))]
POOLS: dict[str, Callable[..., Any]] = {
    "max_pool": lambda x, **layout: ours.max_pool(x, 3, 2, 1, **layout),
    "max_pool, dilated": lambda x, **layout: ours.max_pool2d(x, 2, 1, (1, 0), 2, True, **layout),
    "max_pool, with indices": lambda x, **layout: ours.max_pool2d(x, (3, 2), return_indices=True, **layout)[0],
    "avg_pool": lambda x, **layout: ours.avg_pool(x, (3, 2), 2, 1, count_include_pad=False, **layout),
    "adaptive_max_pool": lambda x, **layout: ours.adaptive_max_pool(x, (4, 3), **layout),
    "adaptive_avg_pool": lambda x, **layout: ours.adaptive_avg_pool2d(x, output_size=4, **layout),
    "local_response_norm": lambda x, **layout: ours.local_response_norm(x, 3, 0.5, **layout),
    "local_response_norm, even": lambda x, **layout: ours.local_response_norm(x, 4, 0.5, beta=0.6, k=2.0, **layout),
}


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
@pytest.mark.parametrize("activation", [None, "relu", ("leaky_relu", 0.1)])
def test_derivatives_of_conv(layout: str | None, shape: tuple[int, ...], activation: Any) -> None:
    def function(x: Any, w: Any, b: Any) -> Any:
        return ours.conv2d(x, w, b, 2, (1, 2), (2, 1), 2, layout=layout, flip=True, activation=activation)

    arrays = normal(0, *shape), normal(1, 6, 2, 3, 3), normal(2, 6)
    check_grads(function, modes=["rev", "fwd"], order=2)(*arrays)
    check_grads(lambda x, w: function(x, w, None), modes=["rev", "fwd"], order=3)(*arrays[:2])


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
def test_derivatives_of_conv_transpose(layout: str | None, shape: tuple[int, ...]) -> None:
    def function(x: Any, w: Any, b: Any) -> Any:
        return ours.conv_transpose2d(x, w, b, 2, "same", (1, 0), 2, (1, 2), layout=layout)

    check_grads(function, modes=["rev", "fwd"], order=2)(normal(0, *shape), normal(1, 4, 3, 3, 2), normal(2, 6))


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
@pytest.mark.parametrize("name", POOLS)
def test_derivatives_of_pools(layout: str | None, shape: tuple[int, ...], name: str) -> None:
    x = normal(0, *shape) if "norm" in name else apart(*shape)
    check_grads(lambda x: POOLS[name](x, layout=layout), modes=["rev", "fwd"], order=2)(x)
    check_grads(lambda x: POOLS[name](x, layout=layout) ** 2 / 10, modes=["rev", "fwd"], order=2)(x)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_derivatives_in_other_ranks(rank: int, batch: tuple[int, ...]) -> None:
    def named(name: str) -> Callable[..., Any]:
        return getattr(ours, f"{name}{rank}d")

    x, w = apart(*batch, 2, *(4,) * rank), normal(1, 2, 2, *(2,) * rank)
    for name in ("conv", "conv_transpose"):
        check_grads(lambda x, w, b, name=name: named(name)(x, w, b, padding=1), modes=["rev"])(x, w, normal(2, 2))
    for name in ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool"):
        check_grads(lambda x, name=name: named(name)(x, 2) ** 2 / 10, modes=["rev"])(x)


def test_hessian() -> None:
    """Of a sum of squares of a linear map: twice its matrix's product with itself."""
    x, w = normal(0, 1, 1, 6), normal(1, 2, 1, 3)
    columns = np.stack([fastconv.conv(unit.reshape(1, 1, 6), w).ravel() for unit in np.eye(6)])
    found = hessian(lambda x: anp.sum(ours.conv(x, w) ** 2))(x).reshape(6, 6)
    assert_close(found, 2 * columns @ columns.T, 6 + 4, 2 * abs(columns) @ abs(columns.T))


# ---------------------------------------------------------------------------------------------------------------------
# The same numbers as fastconv's own functions


@st.composite
def geometries(draw: st.DrawFn) -> tuple[int, str | None, dict[str, Any], tuple[int, ...]]:
    rank = draw(st.integers(1, 3))

    def axes(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank)))

    layout = draw(st.sampled_from([None, "N" + "DHW"[3 - rank :] + "C"]))
    stride, dilation, padding = axes(1, 3), axes(1, 2), draw(st.sampled_from([0, "same", axes(0, 2)]))
    return rank, layout, {"stride": stride, "padding": padding, "dilation": dilation}, axes(1, 3)


def image(rank: int, layout: str | None, batch: int, channels: int, dtype: DTypeLike) -> Array:
    """A view with strides, of an odd size."""
    whole = normal(rank, batch, *(14,) * rank, channels, dtype=dtype)[:, *(slice(None, None, 2),) * rank]
    return whole if layout else np.moveaxis(whole, -1, 1)


@given(
    geometry=geometries(),
    groups=st.integers(1, 2),
    batch=st.integers(0, 2),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    activation=st.sampled_from([None, "relu", ("leaky_relu", 0.25)]),
)
def test_conv(geometry: Any, groups: int, batch: int, dtype: DTypeLike, activation: Any) -> None:
    rank, layout, options, kernel = geometry
    x = image(rank, layout, batch, 2 * groups, dtype)
    w, b = normal(1, 3 * groups, 2, *kernel, dtype=dtype), normal(2, 3 * groups, dtype=dtype)
    options |= {"groups": groups, "layout": layout}
    vjp, y = make_vjp(lambda xwb: ours.conv(*xwb, **options, activation=activation))((x, w, b))
    expected = fastconv.conv(x, w, b, **options, activation=activation)
    assert_array_equal(y, expected, strict=True)
    v = normal(3, *y.shape, dtype=dtype)
    slope = {None: 1, "relu": 0}.get(activation, 0.25)
    g = np.where(expected > 0, v, (slope * v).astype(dtype))
    grad_x, grad_w, grad_b = fastconv.conv_backward(g, x, w, **options)
    found_x, found_w, found_b = vjp(v)
    assert_array_equal(found_x, grad_x, strict=True)
    assert_array_equal(found_w, grad_w, strict=True)
    assert_close(found_b, grad_b.astype(np.float64), 2 * g.size, 2 * np.abs(g).sum(dtype=np.float64))


@given(geometry=geometries(), batch=st.integers(0, 2), ceil_mode=st.booleans())
def test_pools(geometry: Any, batch: int, ceil_mode: bool) -> None:
    rank, layout, options, kernel = geometry
    x = image(rank, layout, batch, 3, np.float32)
    window = (kernel, options["stride"], "same" if options["padding"] == "same" else 0)
    try:
        expected, indices = fastconv.max_pool(x, *window, options["dilation"], ceil_mode, True, layout=layout)
        means = fastconv.avg_pool(x, *window, ceil_mode, layout=layout)
    except ValueError:
        assume(False)
    vjp, y = make_vjp(lambda x: ours.max_pool(x, *window, options["dilation"], ceil_mode, layout=layout))(x)
    assert_array_equal(y, expected, strict=True)
    v = normal(1, *y.shape, dtype=np.float32)
    assert_array_equal(vjp(v), fastconv.max_pool_backward(v, indices, x.shape, layout=layout), strict=True)
    vjp, y = make_vjp(lambda x: ours.avg_pool(x, *window, ceil_mode, layout=layout))(x)
    assert_array_equal(y, means, strict=True)
    v = normal(1, *y.shape, dtype=np.float32)
    expected = fastconv.avg_pool_backward(v, x.shape, *window, ceil_mode, layout=layout)
    assert_array_equal(vjp(v), expected, strict=True)


# ---------------------------------------------------------------------------------------------------------------------
# autograd's own convolution


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Array, Array, dict[str, Any]]:
    """Two arrays whose axes to convolve, to sum over and to keep lie in any order."""
    mode = draw(st.sampled_from(["full", "valid", "same"]))
    rank, dots, kept_a, kept_b = (draw(st.integers(least, most)) for least, most in ((1, 3), (0, 2), (0, 2), (0, 2)))
    sizes = [(draw(st.integers(1, 5)), draw(st.integers(1, 5))) for _ in range(rank)]
    if mode == "valid":
        longer = draw(st.integers(0, 1))
        sizes = [(max(pair), min(pair))[:: 1 - 2 * longer] for pair in sizes]
    summed = [draw(st.integers(1, 3)) for _ in range(dots)]
    arrays, axes, dot_axes = [], [], []
    for which, kept in enumerate((kept_a, kept_b)):
        shape = [pair[which] for pair in sizes] + summed + [draw(st.integers(1, 3)) for _ in range(kept)]
        order = draw(st.permutations(range(len(shape))))
        places = [order.index(axis) for axis in range(len(shape))]
        arrays.append(normal(which, *(shape[axis] for axis in order)))
        axes.append(places[:rank])
        dot_axes.append(places[rank : rank + dots])
    return *arrays, {"axes": axes, "dot_axes": dot_axes, "mode": mode}


def theirs(function: Callable[..., Any], *args: Any) -> Array:
    """What `function` gives with autograd's own, which swaps the two for ever where each is longer on one axis."""
    try:
        return function(signal.convolve, *args)
    except RecursionError:
        reject()


def increasing(options: dict[str, Any]) -> bool:
    """Whether autograd's own gradients are right: it takes axes to sum over in the order in which they lie."""
    return all(list(axes) == sorted(axes) for axes in options["dot_axes"])


@given(case=convolutions())
def test_convolve(case: Any) -> None:
    a, b, options = case

    def value(convolve: Callable[..., Any], a: Array, b: Array) -> Array:
        return convolve(a, b, **options)

    def gradient(which: int) -> Callable[..., Array]:
        def function(convolve: Callable[..., Any], a: Array, b: Array) -> Array:
            return grad(lambda *ab: anp.sum(value(convolve, *ab)), which)(a, b)

        return function

    terms = 2 * max(a.size, b.size, ours.convolve(a, b, **options).size)
    for function in [value] + [gradient(0), gradient(1)] * increasing(options):
        expected, magnitude = theirs(function, a, b), theirs(function, abs(a), abs(b))
        assert_close(function(ours.convolve, a, b), expected, terms, 2 * abs(magnitude))


@given(case=convolutions())
def test_convolve_twice(case: Any) -> None:
    """Gradients of squares of gradients, beside autograd's own."""
    a, b, options = case
    assume(increasing(options))

    def curvature(convolve: Callable[..., Any], which: int) -> Array:
        def slope(a: Any, b: Any) -> Any:
            return anp.sum(grad(lambda a: anp.sum(convolve(a, b, **options) ** 2))(a) ** 2)

        return grad(slope, which)(a, b)

    for which in (0, 1):
        expected = theirs(curvature, which)
        found = curvature(ours.convolve, which)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * abs(expected).max())


def test_convolve_where_autograds_own_fails() -> None:
    """Axes to sum over in another order than they lie in, and two arrays each longer on one axis."""
    options = {"axes": ([0], [0]), "dot_axes": ([2, 1], [1, 2])}
    check_grads(lambda a, b: ours.convolve(a, b, **options), modes=["rev"])(normal(0, 4, 2, 3), normal(1, 2, 3, 2))
    assert_array_equal(ours.convolve(np.ones((1, 2)), np.ones((2, 1))), np.ones((2, 2)))


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolve_derivatives(mode: str) -> None:
    options = {"axes": ([2, 3], [3, 2]), "dot_axes": ([1], [0]), "mode": mode}
    arrays = normal(0, 2, 3, 5, 6), normal(1, 3, 2, 3, 2)
    check_grads(lambda a, b: ours.convolve(a, b, **options), modes=["rev", "fwd"], order=2)(*arrays)


def test_convolve_without_axes() -> None:
    """All axes where none are named; none where empty lists are: a product."""
    a, b = normal(0, 4, 5), normal(1, 2, 3)
    assert_close(ours.convolve(a, b), signal.convolve(a, b), 12, signal.convolve(abs(a), abs(b)) * 2)
    assert_close(
        ours.convolve(a, b, axes=([], []), dot_axes=([], [])),
        np.multiply.outer(a, b),
        2,
        2 * abs(np.multiply.outer(a, b)),
    )
    assert_array_equal(
        ours.convolve(a, b, axes=([-1], [-1])), ours.convolve(a, b, axes=([1], [1])), "axes count from the end too"
    )


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ((3,), (3,), {"mode": "most"}, "mode is 'most'; needs 'full', 'valid' or 'same'"),
        ((3, 2), (3,), {}, "axes is ([0, 1], [0]); needs as many axes of A as of B"),
        ((3,), (3,), {"dot_axes": ([0], [])}, "dot_axes is ([0], []); needs as many"),
        ((2,) * 4, (2,) * 4, {}, "axes is ([0, 1, 2, 3], [0, 1, 2, 3]); needs at most 3"),
        ((3,), (3,), {"axes": ([1], [0])}, "axes is [1] and dot_axes is [] for A of shape (3,); needs different"),
        ((3, 2), (3, 2), {"axes": ([0], [0]), "dot_axes": ([1], [0])}, "axes is [0] and dot_axes is [0] for B"),
        (
            (3, 2),
            (3, 4),
            {"axes": ([0], [0]), "dot_axes": ([1], [1])},
            "dot_axes is ([1], [1]), of sizes (2,) in A and (4,) in B",
        ),
        ((3, 2), (2, 3), {"mode": "valid"}, "A has sizes (3, 2) and B (2, 3) along axes; mode 'valid' needs"),
    ],
)
def test_convolve_refuses(a: tuple[int, ...], b: tuple[int, ...], options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"convolve: {message}")):
        ours.convolve(np.ones(a), np.ones(b), **options)


def test_convolve_refuses_complex_numbers() -> None:
    with pytest.raises(TypeError, match="convolve: B is complex; needs real numbers"):
        ours.convolve(np.ones(3), np.ones(3) * 1j)


# ---------------------------------------------------------------------------------------------------------------------
# As a user would use it


def small_net(convolve: Callable[..., Any], maxima: Callable[..., Any]) -> Callable[..., Any]:
    def loss(params: list[Any], x: Array) -> Any:
        axes = {"axes": ([2, 3], [2, 3]), "dot_axes": ([1], [0]), "mode": "valid"}
        for w, b in params:
            x = anp.tanh(maxima(convolve(x, w, **axes) + b))
        return anp.sum(x**2)

    return loss


def test_a_net_in_autograds_way() -> None:
    """Gradients in lists of tuples of parameters, the same as with autograd's own convolution and reshaped maxima."""

    def reshaped_maxima(x: Any) -> Any:
        n, c, h, w = x.shape
        return anp.max(anp.max(anp.reshape(x, (n, c, h // 2, 2, w // 2, 2)), axis=3), axis=4)

    params = [(normal(0, 1, 4, 3, 3), normal(1, 1, 4, 1, 1)), (normal(2, 4, 5, 4, 4) / 4, normal(3, 1, 5, 1, 1))]
    x = normal(4, 3, 1, 16, 16)
    found = grad(small_net(ours.convolve, lambda x: ours.max_pool(x, 2)))(params, x)
    expected = grad(small_net(signal.convolve, reshaped_maxima))(params, x)
    for pair, expected_pair in zip(found, expected, strict=True):
        for array, other in zip(pair, expected_pair, strict=True):
            np.testing.assert_allclose(array, other, rtol=1e-10, atol=1e-10 * abs(other).max())


def test_arguments_by_name() -> None:
    x, w, b = normal(0, 1, 2, 6, 6), normal(1, 3, 2, 3, 3), normal(2, 3)
    g = np.ones((1, 3, 4, 4))
    named = grad(lambda w: anp.sum(ours.conv(input=x, weight=w, bias=b)))(w)
    assert_array_equal(named, fastconv.conv_grad_weight(g, x, w.shape))
    assert_array_equal(grad(lambda b: anp.sum(ours.conv(x, w, bias=b)))(b), [16.0, 16.0, 16.0])
    assert_array_equal(grad(lambda x: anp.sum(ours.avg_pool(input=x, kernel_size=2)))(x), np.full(x.shape, 0.25))
    assert_array_equal(grad(lambda x: anp.sum(ours.adaptive_avg_pool(x, output_size=3)))(x), np.full(x.shape, 0.25))
    assert_array_equal(grad(lambda x: anp.sum(ours.max_pool(input=x, kernel_size=6)))(x).sum(), 2)


def test_indices_are_constants() -> None:
    x = apart(1, 2, 4)
    values, indices = ours.max_pool(x, 2, return_indices=True)
    assert_array_equal(values, fastconv.max_pool(x, 2))
    found = elementwise_grad(lambda x: ours.max_pool(x, 2, return_indices=True)[0])(x)
    assert_array_equal(found, fastconv.max_pool_backward(np.ones((1, 2, 2)), indices, x.shape))
    assert ours.max_pool(np.arange(4).reshape(1, 1, 4), 2).dtype.kind == "i"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_stay(dtype: DTypeLike) -> None:
    x, w, b = normal(0, 1, 2, 6, 6, dtype=dtype), normal(1, 3, 2, 3, 3, dtype=dtype), normal(2, 3, dtype=dtype)

    def net(x: Any, w: Any, b: Any) -> Any:
        hidden = ours.local_response_norm(ours.conv(x, w, b, activation="relu"), 3)
        return ours.avg_pool(ours.convolve(ours.max_pool(hidden, 2), w[0, 0], axes=([2, 3], [0, 1])), 2)

    v = np.ones_like(net(x, w, b))
    for which in range(3):
        assert tensor_jacobian_product(net, which)(x, w, b, v).dtype == dtype


def test_infinite_gradients_stop_at_an_activation() -> None:
    vjp, _ = make_vjp(lambda x: ours.conv(x, np.ones((1, 1, 1)), activation="relu"))(np.array([[[-1.0, 1.0]]]))
    assert_array_equal(vjp(np.array([[[np.inf, 3.0]]])), [[[0.0, 3.0]]])


def test_refused() -> None:
    x = np.ones((1, 1, 3))
    with pytest.raises(ValueError, match="conv: out is given; needs None, as autograd keeps"):
        ours.conv(x, x, out=x)
    with pytest.raises(ValueError, match=r"conv: activation is \('leaky_relu', -1\); needs a slope >= 0"):
        ours.conv(x, x, activation=("leaky_relu", -1))
    with pytest.raises(ValueError, match=r"conv: activation is \('leaky_relu', '0.1'\); needs None"):
        ours.conv(x, x, activation=("leaky_relu", "0.1"))
    with pytest.raises(ValueError, match=r"conv2d: input has shape \(1, 3\)"):
        grad(lambda x: anp.sum(ours.conv2d(x, np.ones((1, 1, 3, 3)))))(x[0])
    with pytest.raises(ValueError, match="conv: the dilated kernel exceeds the padded input"):
        grad(lambda x: anp.sum(ours.conv(x, np.ones((1, 1, 4)))))(x)


def test_signatures_are_fastconvs() -> None:
    for name in ours.__all__:
        if name != "convolve":
            assert inspect.signature(getattr(ours, name)) == inspect.signature(getattr(fastconv, name))
            assert getattr(ours, name).__name__ == name
            assert f"fastconv.{name}" in getattr(ours, name).__doc__
    assert list(inspect.signature(ours.convolve).parameters) == list(inspect.signature(signal.convolve.fun).parameters)


def test_examples() -> None:
    import doctest

    results = doctest.testmod(ours)
    assert results.attempted
    assert not results.failed


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## autograd") :]
    block = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["gradient"].shape == names["filters"].shape
