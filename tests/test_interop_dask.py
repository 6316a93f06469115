"""fastconv over dask arrays: as over the whole array, for random geometries in random chunks, on every scheduler."""

from __future__ import annotations

import doctest
import inspect
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close, assert_identical
from views import Exchanged

pytest.importorskip("dask.array", reason="dask is not installed: fastconv.interop.dask is not tested")

import dask
import dask.array as da

import fastconv
import fastconv.interop.dask as fd

Array = NDArray[Any]

DTYPES = ("float32", "float64")
few = settings(max_examples=60)


# ---------------------------------------------------------------------------------------------------------------------
# Random geometries and random chunks


@st.composite
def split(draw: st.DrawFn, size: int, most: int) -> tuple[int, ...]:
    """Chunks of a size; single elements are among them, and now and then an empty one."""
    borders = draw(st.lists(st.integers(0, size), max_size=most - 1))
    return tuple(np.diff([0, *sorted(borders), size]).tolist())


class Case(NamedTuple):
    rank: int
    shape: tuple[int, ...]
    chunks: tuple[tuple[int, ...], ...]
    kernel: tuple[int, ...]
    arguments: dict[str, Any]  # but for the kernel
    seed: int

    @property
    def channels(self) -> int:
        last = self.arguments["layout"] is not None
        return self.shape[-1] if last else self.shape[-self.rank - 1]

    def integers(self, *shape: int, dtype: DTypeLike) -> Array:
        """Sums of their products are exact, in any order."""
        return np.random.default_rng([self.seed, *shape]).integers(-8, 9, shape).astype(dtype)

    def normal(self, *shape: int, dtype: DTypeLike) -> Array:
        return np.random.default_rng([self.seed, *shape]).standard_normal(shape).astype(dtype)


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """Whatever may come, geometries among it that are refused."""
    rank = draw(st.integers(1, 3))

    def per_axis(least: int, most: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(least, most)] * rank))

    most = (14, 9, 6)[rank - 1]
    sizes, kernel = per_axis(1, most), per_axis(1, 4 if rank < 3 else 3)
    pads = draw(st.tuples(*[st.tuples(*[st.integers(0, 5 if kind == "conv" else k - 1)] * 2) for k in kernel]))
    last, item, batch = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 3))
    channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
    shape = (*sizes, channels) if last else (channels, *sizes)
    shape = shape if item else (batch, *shape)
    arguments: dict[str, Any] = {
        "stride": draw(st.sampled_from([1, 2, per_axis(1, 4)])),
        "padding": draw(st.sampled_from([pads, pads, "same", "valid", min(map(min, pads))])),
        "layout": {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank] if last else None,
    }
    if kind != "avg":
        arguments["dilation"] = draw(st.sampled_from([1, 1, per_axis(1, 3)]))
    if kind == "conv":
        groups = draw(st.sampled_from([one for one in (1, 2, 3, 6) if channels % one == 0]))
        arguments |= {"groups": groups, "flip": draw(st.booleans())}
        arguments["activation"] = draw(st.sampled_from([None, "relu", ("leaky_relu", 0.25)]))
    else:
        arguments["ceil_mode"] = draw(st.booleans())
    if kind == "avg":
        arguments["count_include_pad"] = draw(st.booleans())
        arguments["divisor_override"] = draw(st.sampled_from([None, None, 3]))
    chunks = tuple(draw(split(size, 7 - 2 * rank)) for size in shape)
    return Case(rank, shape, chunks, kernel, arguments, draw(st.integers(0, 2**32)))


def both(name: str, case: Case, x: Array, *operands: Any, **more: Any) -> tuple[Any, Any] | None:
    """What the dask function gives, computed, and the plain one; None where both refuse with the same words."""
    plain, ours = getattr(fastconv, f"{name}{case.rank}d"), getattr(fd, f"{name}{case.rank}d")
    chunked = da.from_array(x, chunks=case.chunks)
    try:
        expected = plain(x, *operands, **case.arguments, **more)
    except ValueError as error:
        words = ": ".join(str(error).split(": ")[:2])
        with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
            ours(chunked, *operands, **case.arguments, **more)
        return None
    lazy = ours(chunked, *operands, **case.arguments, **more)
    results, truths = (value if isinstance(value, tuple) else (value,) for value in (lazy, expected))
    for result, truth in zip(results, truths, strict=True):
        assert (result.shape, result.dtype) == (truth.shape, truth.dtype)
        assert type(result._meta) is np.ndarray
        assert result._meta.dtype == truth.dtype
    with dask.config.set(scheduler="synchronous"):
        return dask.compute(lazy)[0], expected


def filters_of(case: Case, make: Any, per_group: int, dtype: DTypeLike) -> tuple[Array, Array]:
    groups = case.arguments["groups"]
    weight = make(per_group * groups, case.channels // groups, *case.kernel, dtype=dtype)
    return weight, make(per_group * groups, dtype=dtype)


@few
@given(case=cases("conv"), per_group=st.integers(1, 3), dtype=st.sampled_from(DTYPES), with_bias=st.booleans())
def test_conv_to_the_bit(case: Case, per_group: int, dtype: str, with_bias: bool) -> None:
    weight, bias = filters_of(case, case.integers, per_group, dtype)
    x = case.integers(*case.shape, dtype=dtype)
    if computed := both("conv", case, x, weight, bias if with_bias else None, algorithm="exact"):
        assert_identical(*computed)


@few
@given(case=cases("conv"), per_group=st.integers(1, 3), dtype=st.sampled_from(("float16", *DTYPES)))
def test_conv_within_the_bound_of_its_sums(case: Case, per_group: int, dtype: str) -> None:
    weight, bias = filters_of(case, case.normal, per_group, dtype)
    x = case.normal(*case.shape, dtype=dtype)
    if computed := both("conv", case, x, weight, bias, algorithm="exact"):
        wide, magnitudes = ([one.astype(np.float64) for one in (x, weight, bias)] for _ in range(2))
        reference = getattr(fastconv.reference, f"conv{case.rank}d")
        plain = case.arguments | {"activation": None}
        magnitude = reference(*map(np.abs, magnitudes), **plain)
        assert_close(computed[0], reference(*wide, **case.arguments), weight[0].size, magnitude)


@few
@given(case=cases("max"), dtype=st.sampled_from(("float16", "int64", "uint8", "bool", *DTYPES)))
def test_max_pool(case: Case, dtype: str) -> None:
    x = case.integers(*case.shape, dtype="int64").astype(dtype)  # with ties
    if computed := both("max_pool", case, x, case.kernel):
        assert_identical(*computed)


@few
@given(case=cases("max"), dtype=st.sampled_from(DTYPES), nans=st.booleans())
def test_indices_are_those_in_the_whole_plane(case: Case, dtype: str, nans: bool) -> None:
    x = case.integers(*case.shape, dtype=dtype)
    if nans:
        x[x > 6] = np.nan
    if computed := both("max_pool", case, x, case.kernel, return_indices=True):
        for result, expected in zip(*computed, strict=True):
            assert_identical(result, expected)


@few
@given(case=cases("avg"), dtype=st.sampled_from(("int32", *DTYPES)))
def test_avg_pool_to_the_bit(case: Case, dtype: str) -> None:
    if computed := both("avg_pool", case, case.integers(*case.shape, dtype=dtype), case.kernel):
        assert_identical(*computed)


@few
@given(case=cases("avg"), dtype=st.sampled_from(("float16", *DTYPES)))
def test_avg_pool_within_the_bound_of_its_sums(case: Case, dtype: str) -> None:
    x = case.normal(*case.shape, dtype=dtype)
    if computed := both("avg_pool", case, x, case.kernel):
        wide = x.astype(np.float64)
        expected, magnitude = (
            getattr(fastconv.reference, f"avg_pool{case.rank}d")(y, case.kernel, **case.arguments)
            for y in (wide, np.abs(wide))
        )
        assert_close(computed[0], expected, int(np.prod(case.kernel)), magnitude)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


IMAGES = np.random.default_rng(7).integers(-8, 9, (2, 4, 20, 21)).astype(np.float32)
WEIGHT = np.random.default_rng(8).integers(-8, 9, (6, 4, 3, 3)).astype(np.float32)
CHUNKS = (1, 2, 7, 8)
NAMES = ("conv2d", "max_pool2d", "avg_pool2d")


def chunked(array: Array = IMAGES, chunks: Any = CHUNKS) -> da.Array:
    return da.from_array(array, chunks=chunks)


def net(x: Any, module: Any, weight: Any = WEIGHT) -> Any:
    """The same calls on arrays of NumPy, by fastconv, or of dask, by fastconv.interop.dask."""
    maps = module.conv2d(
        x, weight, np.arange(6, dtype=np.float32), padding="same", activation="relu", algorithm="exact"
    )
    values, indices = module.max_pool2d(maps, 3, 2, 1, return_indices=True)
    return values + indices, module.avg_pool2d(maps, 2)


def assert_net(computed: Any) -> None:
    for result, expected in zip(computed, net(IMAGES, fastconv), strict=True):
        assert_array_equal(result, expected)


def test_building_computes_nothing() -> None:
    def explode(block: Array) -> Array:
        raise AssertionError("computed")

    x, weight = chunked().map_blocks(explode, meta=IMAGES), chunked(WEIGHT, 2).map_blocks(explode, meta=WEIGHT)
    y = net(x, fd, weight)
    assert [one.shape for one in y] == [one.shape for one in net(IMAGES, fastconv)]
    with pytest.raises(AssertionError, match="computed"):
        y[1].compute(scheduler="synchronous")


def test_chunks_follow_those_of_the_input() -> None:
    x = chunked(chunks=(1, 4, (3, 10, 7), (1, 20)))
    assert fd.conv2d(x, WEIGHT, padding=1).chunks == ((1, 1), (6,), (3, 10, 7), (1, 20))
    assert fd.conv2d(x, WEIGHT).chunks == ((1, 1), (6,), (2, 10, 6), (19,))
    assert fd.max_pool2d(x, 2).chunks == ((1, 1), (4,), (2, 5, 3), (1, 9))
    assert fd.avg_pool2d(x, 3, 1, 1).chunks == x.chunks


def test_channels_of_a_group_are_brought_together() -> None:
    image = chunked(np.ones((1, 6, 4, 4)), (1, (1, 2, 3), 4, 4))
    joined = {1: (12,), 2: (6, 6), 3: (12,), 6: (2, 4, 6)}
    for groups, channels in joined.items():
        assert fd.conv2d(image, np.ones((12, 6 // groups, 1, 1)), groups=groups).chunks[1] == channels
    assert fd.max_pool2d(image, 2).chunks[1] == (1, 2, 3)


def test_pieces_that_do_not_overlap_are_not_copied() -> None:
    x = chunked(chunks=(1, 2, 10, 7))
    layers = {name.split("-")[0] for name in fd.max_pool2d(x[:, :, :, :20], (2, 4)).__dask_graph__().layers}
    assert "concatenate" not in layers


def test_names_depend_on_the_arguments_alone() -> None:
    first, same, other = (fd.conv2d(chunked(), WEIGHT, padding=padding).name for padding in (1, 1, 2))
    assert first == same != other
    assert first.startswith("conv2d-")


@pytest.mark.parametrize(
    "make", [np.asarray, list, Exchanged, lambda array: chunked(array, 1), lambda array: chunked(array, -1)]
)
def test_operands_of_numpy_and_of_dask(make: Any) -> None:
    bias = np.arange(6, dtype=np.float32)
    y = fd.conv2d(chunked(), make(WEIGHT), make(bias), algorithm="exact")
    assert_array_equal(y.compute(scheduler="synchronous"), fastconv.conv2d(IMAGES, WEIGHT, bias, algorithm="exact"))


def test_operands_of_the_array_api() -> None:
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    y = fd.conv2d(chunked(), xp.asarray(WEIGHT), algorithm="exact")
    assert_array_equal(y.compute(scheduler="synchronous"), fastconv.conv2d(IMAGES, WEIGHT, algorithm="exact"))


def test_operands_are_those_of_the_time_of_the_call() -> None:
    weight = WEIGHT.copy()
    y = fd.conv2d(chunked(), weight, algorithm="exact")
    weight[:] = 0
    assert_array_equal(y.compute(scheduler="synchronous"), fastconv.conv2d(IMAGES, WEIGHT, algorithm="exact"))


def test_winograd_stays_within_its_bound() -> None:
    random = np.random.default_rng(7)
    x, weight = random.standard_normal((1, 32, 60, 60), np.float32), random.standard_normal((8, 32, 3, 3), np.float32)
    y = fd.conv2d(chunked(x, (1, 32, 25, 32)), weight, padding=1, algorithm="winograd").compute(scheduler="synchronous")
    wide, magnitude = (
        fastconv.conv2d(*map(np.float64, pair), padding=1) for pair in ((x, weight), map(abs, (x, weight)))
    )
    assert_close(y, wide, 2 * weight[0].size, magnitude)


# ---------------------------------------------------------------------------------------------------------------------
# Arguments


@pytest.mark.parametrize("name", fd.__all__)
def test_arguments_are_those_of_the_plain_function(name: str) -> None:
    ours, plain = (inspect.signature(getattr(module, name)).parameters for module in (fd, fastconv))
    assert [(one.name, one.kind, one.default) for one in ours.values()] == [
        (one.name, one.kind, one.default) for one in plain.values() if one.name != "out"
    ]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("conv2d", {"weight": np.ones((6, 3, 3, 3))}),
        ("conv2d", {"weight": np.ones((6, 4, 3))}),
        ("conv2d", {"weight": WEIGHT, "bias": np.ones(5)}),
        ("conv2d", {"weight": WEIGHT, "groups": 3}),
        ("conv2d", {"weight": WEIGHT, "stride": 0}),
        ("conv2d", {"weight": WEIGHT, "stride": 1.5}),
        ("conv2d", {"weight": WEIGHT, "padding": (1, 2, 3)}),
        ("conv2d", {"weight": WEIGHT, "dilation": 10}),
        ("conv2d", {"weight": WEIGHT, "layout": "NWC"}),
        ("conv2d", {"weight": WEIGHT, "activation": "tanh"}),
        ("conv2d", {"weight": WEIGHT, "algorithm": "fft"}),
        ("conv2d", {"weight": WEIGHT.astype(complex)}),
        ("max_pool2d", {"kernel_size": 0}),
        ("max_pool2d", {"kernel_size": 2, "padding": 2}),
        ("max_pool2d", {"kernel_size": 30}),
        ("max_pool2d", {"kernel_size": 2, "return_indices": 2}),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 0}),
        ("avg_pool2d", {"kernel_size": 2, "ceil_mode": "yes"}),
    ],
)
def test_errors_are_those_of_the_plain_function(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as plain:
        getattr(fastconv, name)(IMAGES, **arguments)
    with pytest.raises(plain.type, match=f"^{re.escape(str(plain.value))}$"):
        getattr(fd, name)(chunked(), **arguments)


def test_errors_of_other_inputs() -> None:
    for shape in ((3, 3), (2, 3, 4, 5, 6), (1, 0, 5, 5)):
        with pytest.raises(ValueError, match=re.escape(str(shape))):
            fd.max_pool2d(da.zeros(shape), 2)
    with pytest.raises(TypeError, match="max_pool2d: input has dtype complex128"):
        fd.max_pool2d(da.zeros((1, 4, 4), dtype=complex), 2)
    with pytest.raises(ValueError, match=r"max_pool2d: a pooling window without any input element"):
        fd.max_pool2d(chunked(np.ones((1, 5, 20)), 4), 2, dilation=(7, 1), padding=((5, 5), (0, 0)))
    with pytest.raises(ValueError, match=r"conv2d: algorithm 'winograd' needs .* \(2, 4, 20, 21\), .*stride is 3"):
        fd.conv2d(chunked(), WEIGHT, stride=3, algorithm="winograd")
    for name in NAMES:
        with pytest.raises(TypeError, match=f"{name}: input is a ndarray; needs a dask array"):
            getattr(fd, name)(IMAGES, WEIGHT)


def test_unknown_chunks_are_refused() -> None:
    flat = da.arange(12.0, chunks=4)
    unknown = flat[flat > 3][None]
    with pytest.raises(ValueError, match=r"avg_pool1d: input has shape \(1, nan\).*input\.compute_chunk_sizes\(\)"):
        fd.avg_pool1d(unknown, 2)
    with pytest.raises(ValueError, match=r"conv1d: bias has shape \(nan,\)"):
        fd.conv1d(flat[None], np.ones((8, 1, 2)), unknown[0])
    assert fd.avg_pool1d(unknown.compute_chunk_sizes(), 2).compute(scheduler="synchronous").tolist() == [
        [4.5, 6.5, 8.5, 10.5]
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Schedulers


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_schedulers(scheduler: str) -> None:
    workers = {} if scheduler == "synchronous" else {"num_workers": 2}
    assert_net(dask.compute(*net(chunked(), fd), scheduler=scheduler, **workers))


def test_pickles() -> None:
    y = pickle.loads(pickle.dumps(net(chunked(), fd)))
    assert_net(dask.compute(*y, scheduler="synchronous"))


def test_threads_inside_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that fastconv has in the main thread, one in those of a pool."""
    seen, plain = [], fastconv.max_pool

    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(fastconv.get_num_threads())
        return plain(*args, **kwargs)

    monkeypatch.setattr(fastconv, "max_pool", noting)
    before = fastconv.get_num_threads()
    fastconv.set_num_threads(3)
    try:
        most = fastconv.get_num_threads()  # 1 without OpenMP
        for scheduler, threads in (("synchronous", most), ("threads", 1)):
            fd.max_pool2d(chunked(), 2).compute(scheduler=scheduler)
            assert set(seen) == {threads}
            seen.clear()
        with fastconv.num_threads(2):
            fd.max_pool2d(chunked(), 2).compute(scheduler="threads", num_workers=2)
        assert set(seen) == {1}
    finally:
        fastconv.set_num_threads(before)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two processes of two threads each."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed: no cluster is tested")
    folder = tmp_path_factory.mktemp("workers")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=None, local_directory=str(folder)
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_distributed(client: Any) -> None:
    assert_net(client.gather(client.compute(list(net(chunked(), fd)))))
    assert_net(client.gather(client.compute(list(net(client.persist(chunked()), fd, chunked(WEIGHT, 2))))))


def test_threads_inside_of_a_worker(client: Any) -> None:
    def threads() -> tuple[int, int]:
        from fastconv.interop import _dask

        with _dask._threads_of_a_task():
            return os.getpid(), fastconv.get_num_threads()

    pids, counts = zip(*client.gather([client.submit(threads, pure=False) for _ in range(8)]), strict=True)
    assert os.getpid() not in pids
    assert set(counts) == {1}


# ---------------------------------------------------------------------------------------------------------------------
# Memory, documentation


MEMORY = """
import resource
import dask
import dask.array as da
import numpy as np
from fastconv.interop.dask import conv2d, max_pool2d

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def mean(size):
    x = da.random.default_rng(0).random((1, size, size), dtype=np.float32, chunks=(1, 512, 512))
    y = conv2d(x, np.full((4, 1, 5, 5), 0.04, np.float32), padding="same", activation="relu")
    return float(max_pool2d(y, 8).mean().compute(scheduler="threads", num_workers=2))

mean(1024)
before = peak()
mean(8192)
print(peak() - before)
"""


def test_memory_is_bounded() -> None:
    """An image of 256 MiB and its four maps of as much each, in a few chunks at a time."""
    command = [sys.executable, "-c", MEMORY]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert grown < 128 * 2**20


@pytest.mark.parametrize("name", fd.__all__)
def test_docstrings_describe_every_parameter_and_their_examples_run(name: str) -> None:
    function = getattr(fd, name)
    text = inspect.getdoc(function)
    section = text[text.index("Parameters\n") : text.index("Returns\n")].splitlines()[2:]
    names = [one for line in section if line and not line.startswith(" ") for one in line.split(" : ")[0].split(", ")]
    assert names == list(inspect.signature(function).parameters)
    for test in doctest.DocTestFinder(recurse=False).find(function, name, globs={}):
        assert test.examples
        assert doctest.DocTestRunner().run(test).failed == 0


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## dask") :].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["thumbnail"].shape == (1, 40, 40)
