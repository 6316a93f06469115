"""fastconv.arithmetic against the ops themselves: their shapes, their gradients, sums written out."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tolerance import assert_identical

import fastconv
from fastconv import arithmetic
from fastconv.arithmetic import (
    Conv,
    Dense,
    Pool,
    ReceptiveField,
    flop_count,
    output_size,
    parameter_count,
    receptive_field,
    same_padding,
    summary,
)

LENET = [Conv(6, 5), Pool(2), Conv(16, 5), Pool(2), Conv(120, 5), Dense(84), Dense(10)]


# ---- docstrings


@pytest.mark.parametrize("name", ["module", *arithmetic.__all__])
def test_examples_run(name: str) -> None:
    thing = arithmetic if name == "module" else getattr(arithmetic, name)
    for test in doctest.DocTestFinder(recurse=False).find(thing, name, globs={}):
        assert doctest.DocTestRunner().run(test).failed == 0


FUNCTIONS = ("output_size", "same_padding", "parameter_count", "flop_count", "receptive_field", "summary")


@pytest.mark.parametrize("name", [*FUNCTIONS, "Conv", "Pool", "Dense", "ReceptiveField", "LayerSummary", "Summary"])
def test_docstrings_describe_every_parameter(name: str) -> None:
    thing = getattr(arithmetic, name)
    lines = inspect.getdoc(thing).splitlines()
    titles = [title for title, line in pairwise(lines) if line and set(line) == {"-"}]
    if name in FUNCTIONS:
        assert titles[:3] == ["Parameters", "Returns", "Raises"]
        assert titles[-1] == "Examples"
    section = lines[lines.index("----------") + 1 :]  # of Parameters or Attributes, the first with ten letters
    later = [i for i, line in enumerate(section) if line and set(line) == {"-"}]
    section = section[: later[0] - 1] if later else section
    names = [one for line in section if line and not line.startswith(" ") for one in line.split(" : ")[0].split(", ")]
    assert names == list(inspect.signature(thing).parameters)


# ---- sizes

RANK = st.integers(1, 3)


def per_axis(rank: int, least: int, most: int) -> st.SearchStrategy[Any]:
    return st.integers(least, most) | st.tuples(*[st.integers(least, most)] * rank)


def paddings(rank: int, most: int) -> st.SearchStrategy[Any]:
    pair = st.tuples(st.integers(0, most), st.integers(0, most))
    return per_axis(rank, 0, most) | st.tuples(*[pair] * rank) | st.sampled_from(["valid", "same"])


@given(st.data())
def test_output_size_is_that_of_conv(data: st.DataObject) -> None:
    rank = data.draw(RANK)
    sizes = data.draw(st.tuples(*[st.integers(1, 9)] * rank))
    kernel = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    geometry = data.draw(st.tuples(per_axis(rank, 1, 3), paddings(rank, 3), per_axis(rank, 1, 3)))
    try:
        expected = fastconv.conv(np.ones((1, 1, *sizes)), np.ones((1, 1, *kernel)), None, *geometry).shape[2:]
    except ValueError:
        with pytest.raises(ValueError, match=r"^output_size: "):
            output_size(sizes, kernel, *geometry)
    else:
        assert output_size(sizes, kernel, *geometry) == expected


@given(st.data())
def test_output_size_with_ceil_mode_is_that_of_max_pool(data: st.DataObject) -> None:
    rank = data.draw(RANK)
    sizes = data.draw(st.tuples(*[st.integers(1, 9)] * rank))
    kernel, stride, padding = (
        data.draw(one) for one in (per_axis(rank, 1, 4), per_axis(rank, 1, 4), paddings(rank, 2))
    )
    for ceil_mode in (False, True):
        try:
            expected = fastconv.max_pool(np.ones((1, 1, *sizes)), kernel, stride, padding, 1, ceil_mode).shape[2:]
        except ValueError:
            if ceil_mode:
                with pytest.raises(ValueError, match=r"^output_size: "):
                    output_size(sizes, kernel, stride, padding, ceil_mode=True)
        else:
            assert output_size(sizes, kernel, stride, padding, ceil_mode=ceil_mode) == expected


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.data())
def test_transposed_sizes_are_those_that_a_convolution_takes_back(
    size: int, kernel: int, stride: int, dilation: int, data: st.DataObject
) -> None:
    window = dilation * (kernel - 1) + 1
    before, after = data.draw(st.tuples(st.integers(0, window - 1), st.integers(0, window - 1)))
    extra = data.draw(st.integers(0, stride - 1))
    assume((size - 1) * stride - before - after + window + extra >= 1)
    padding = ((before, after),)
    up = output_size((size,), kernel, stride, padding, dilation, transposed=True, output_padding=extra)
    assert up == ((size - 1) * stride - before - after + window + extra,)
    assert output_size(up, kernel, stride, padding, dilation) == (size,)


def test_transposed_same_is_the_size_times_the_stride() -> None:
    assert output_size((5, 7), 3, (2, 3), "same", transposed=True) == (10, 21)


def test_an_int_gives_an_int_and_a_tuple_a_tuple() -> None:
    assert output_size(7, 3) == 5
    assert type(output_size(np.int8(7), 3)) is int
    assert output_size((7,), 3) == (5,)
    assert output_size([7, 8], (3, 2)) == (5, 7)
    assert output_size(np.array([7, 8, 9]), 3) == (5, 6, 7)
    assert output_size(7, (3,), padding=((1, 2),)) == 8
    assert same_padding(7, 4) == (1, 2)
    assert same_padding((7,), 4) == ((1, 2),)


@given(st.data())
def test_same_padding_is_what_same_means(data: st.DataObject) -> None:
    rank = data.draw(RANK)
    sizes = data.draw(st.tuples(*[st.integers(1, 9)] * rank))
    kernel = data.draw(st.tuples(*[st.integers(1, 5)] * rank))
    stride, dilation = data.draw(per_axis(rank, 1, 4)), data.draw(per_axis(rank, 1, 3))
    pairs = same_padding(sizes, kernel, stride, dilation)
    assert all(0 <= after - before <= 1 for before, after in pairs)
    strides = stride if isinstance(stride, tuple) else (stride,) * rank
    ceilings = tuple(-(-size // step) for size, step in zip(sizes, strides, strict=True))
    assert output_size(sizes, kernel, stride, pairs, dilation) == ceilings
    x = np.random.default_rng(0).standard_normal((1, 1, *sizes))
    w = np.random.default_rng(1).standard_normal((1, 1, *kernel))
    assert_identical(
        fastconv.conv(x, w, None, stride, pairs, dilation), fastconv.conv(x, w, None, stride, "same", dilation)
    )


# ---- counts


@pytest.mark.parametrize("shape", [(6, 1, 5, 5), (16, 3, 3), (4, 2, 3, 3, 3), (10, 84)])
def test_parameters_are_what_weights_and_biases_hold(shape: tuple[int, ...]) -> None:
    assert parameter_count(shape, bias=False) == np.ones(shape).size
    assert parameter_count(shape) == np.ones(shape).size + np.ones(shape[0]).size
    assert parameter_count(np.ones(shape).shape, np.True_) == parameter_count(list(shape), True)


def test_parameters_of_more_than_64_bits_are_counted_exactly() -> None:
    assert parameter_count((2**40, 2**40), bias=False) == 2**80


def test_multiply_adds_are_the_products_that_a_convolution_sums() -> None:
    """An image of ones under filters of ones gives in each output how many products it sums."""
    x, w = np.ones((2, 4, 9, 11)), np.ones((6, 2, 3, 2))
    geometry = dict(stride=(2, 1), dilation=(1, 3), groups=2)
    products = int(fastconv.conv2d(x, w, **geometry).sum())
    assert flop_count(x.shape, w.shape, **geometry, unit="multiply-adds") == products
    assert flop_count(x.shape, w.shape, **geometry) == flop_count(x.shape, w.shape, **geometry, unit="flops")
    assert flop_count(x.shape, w.shape, **geometry) == 2 * products


def test_multiply_adds_of_batches_layouts_and_padding() -> None:
    weight = (6, 4, 3, 3)
    assert flop_count((5, 4, 9, 11), weight, 1, "same") == 5 * flop_count((4, 9, 11), weight, 1, 1)
    assert flop_count((4, 9, 11), weight, padding=1) == 2 * 6 * 4 * 9 * 9 * 11
    assert flop_count((5, 9, 11, 4), weight, layout="NHWC") == flop_count((5, 4, 9, 11), weight, layout="NCHW")
    assert flop_count((9, 11, 4), weight, layout="NHWC") == flop_count((4, 9, 11), weight)
    assert flop_count((0, 4, 9, 11), weight) == 0
    assert flop_count((3, 20), (2, 3, 4)) == 2 * 2 * 3 * 4 * 17
    assert flop_count((1, 5, 6, 7), (2, 1, 2, 2, 2)) == 2 * 2 * 8 * 4 * 5 * 6


# ---- receptive fields


def seen(layers: list[Any], size: int) -> list[tuple[int, int]]:
    """First and last element that each output depends on: through a stack of ones, by its gradient."""
    arrays = [np.ones((1, 1, size))]
    for layer in layers:
        ones = np.ones((1, 1, layer.kernel_size))
        if isinstance(layer, Conv):
            arrays.append(fastconv.conv1d(arrays[-1], ones, None, layer.stride, layer.padding, layer.dilation))
        else:
            arrays.append(fastconv.avg_pool1d(arrays[-1], layer.kernel_size, layer.stride, layer.padding))
    result = []
    for i in range(arrays[-1].shape[2]):
        gradient = np.zeros(arrays[-1].shape)
        gradient[0, 0, i] = 1
        for layer, array in zip(reversed(layers), reversed(arrays[:-1]), strict=True):
            window = (layer.stride, layer.padding)
            if isinstance(layer, Conv):
                ones = np.ones((1, 1, layer.kernel_size))
                gradient = fastconv.conv1d_grad_input(gradient, ones, array.shape, *window, layer.dilation)
            else:
                gradient = fastconv.avg_pool1d_backward(gradient, array.shape, layer.kernel_size, *window)
        where = np.flatnonzero(gradient)
        result.append((int(where[0]), int(where[-1])))
    return result


@pytest.mark.parametrize(
    "layers",
    [
        [Conv(1, 3)] * 3,
        [Conv(1, 5), Pool(2), Conv(1, 5), Pool(2)],
        [Conv(1, 3, padding=1), Pool(3, 2, 1), Conv(1, 3, 2, padding=((2, 0),))],
        [Conv(1, 7, 2, padding=3), Pool(3, 2, 1), Conv(1, 3, padding="same"), Conv(1, 3, 2, padding="same")],
        [Conv(1, 3, dilation=1), Conv(1, 3, dilation=2), Conv(1, 3, dilation=4)],
        [Conv(1, 4, 3, padding="same", dilation=2), Pool(2, 1)],
    ],
    ids=["three", "lenet", "uneven", "resnet", "dilated", "same"],
)
@pytest.mark.parametrize("size", [40, 45])
def test_receptive_fields_are_where_gradients_arrive(layers: list[Any], size: int) -> None:
    field = receptive_field(layers, (size,))[-1]
    [length], [jump], [first] = field.size, field.jump, field.start
    starts = [first + i * jump for i in range(summary(layers, (1, size))[-1].output_shape[1])]
    assert seen(layers, size) == [(max(start, 0), min(start + length, size) - 1) for start in starts]


def test_receptive_fields_have_the_form_of_the_arguments() -> None:
    stack = [Conv(8, 3, 2, padding=1), Pool(2)]
    assert receptive_field(stack) == (ReceptiveField(3, 2, -1), ReceptiveField(5, 4, -1))
    assert receptive_field(stack)[1].centre == 1
    pairs = (ReceptiveField((3, 3), (2, 2), (-1, -1)), ReceptiveField((5, 5), (4, 4), (-1, -1)))
    assert receptive_field(iter(stack), (32, 48)) == pairs
    assert receptive_field([Conv(8, (3, 5)), Pool(2)])[1] == ReceptiveField((4, 6), (2, 2), (0, 0))
    assert receptive_field([Conv(8, (3, 5)), Pool(2)], 32)[1].centre == (1.5, 2.5)
    assert receptive_field([]) == ()


def test_a_dense_layer_sees_all_that_is_left() -> None:
    assert receptive_field([Conv(6, 5), Pool(2), Dense(10)], 28)[-1] == ReceptiveField(28, 2, 0)
    assert receptive_field([Conv(6, 5), Pool(2), Dense(10)], 29)[-1] == ReceptiveField(28, 2, 0)  # the last is left out


# ---- summary


def test_rows_agree_with_the_single_numbers() -> None:
    stack = [Conv(6, 5, 2, padding=(1, 2), name="first"), Pool(3, 2, ceil_mode=True), Conv(8, 3, groups=2, bias=False)]
    table = summary([*stack, Dense(10)], (3, 31, 40))
    sizes = [output_size((31, 40), 5, 2, (1, 2))]
    sizes += [output_size(sizes[-1], 3, 2, ceil_mode=True)]
    sizes += [output_size(sizes[-1], 3)]
    shapes = [(3, 31, 40), (6, *sizes[0]), (6, *sizes[1]), (8, *sizes[2]), (10,)]
    assert [row.input_shape for row in table] == shapes[:-1]
    assert [row.output_shape for row in table] == shapes[1:]
    assert [row.name for row in table] == ["first", "pool1", "conv2", "dense1"]
    assert [row.layer for row in table] == [*stack, Dense(10)]
    assert [row.filters for row in table] == [6, None, 8, 10]
    assert [row.kernel_size for row in table] == [(5, 5), (3, 3), (3, 3), None]
    assert [row.stride for row in table] == [(2, 2), (2, 2), (1, 1), None]
    assert [row.padding for row in table] == [((1, 1), (2, 2)), ((0, 0),) * 2, ((0, 0),) * 2, None]
    assert [row.receptive_field for row in table[:3]] == [row.size for row in receptive_field(stack, (31, 40))]
    weights = [(6, 3, 5, 5), (8, 3, 3, 3), (10, table[3].input_volume)]
    learning = [table[0], table[2], table[3]]
    assert [row.weights for row in learning] == [parameter_count(shape, bias=False) for shape in weights]
    assert [row.biases for row in table] == [6, 0, 0, 10]
    adds = [
        flop_count(shapes[0], weights[0], 2, (1, 2), unit="multiply-adds"),
        flop_count(shapes[2], weights[1], groups=2, unit="multiply-adds"),
        weights[2][0] * weights[2][1],
    ]
    assert [row.multiply_adds for row in learning] == adds
    assert (table.weights, table.biases) == (sum(row.weights for row in table), 16)
    assert table.parameters == table.weights + 16 == sum(row.parameters for row in table)
    assert table.multiply_adds == sum(adds)
    assert [row.multiply_add_share for row in learning] == [one / sum(adds) for one in adds]
    assert sum(row.weight_share for row in table) == pytest.approx(1)


def test_connections_of_a_layer_that_is_dense_local_or_shared() -> None:
    conv, pool, dense = summary([Conv(4, 3, groups=2), Pool(2), Dense(5)], (6, 8, 9))
    assert conv.connections_dense == conv.input_volume * conv.output_volume == 6 * 72 * 4 * 42
    assert conv.connections_local == 4 * 42 * 3 * 9
    assert conv.connections_shared == conv.weights == 4 * 3 * 9
    assert pool.connections_dense == pool.connections_local == pool.connections_shared == 0
    assert dense.connections_dense == dense.connections_local == dense.connections_shared == dense.weights


@pytest.mark.parametrize("spatial", [(), (20,), (20, 21), (12, 13, 14)])
def test_summaries_of_every_rank(spatial: tuple[int, ...]) -> None:
    slides = [Conv(4, 3, padding="same"), Pool(2)] if spatial else []
    table = summary([*slides, Dense(7), Dense(3)], (2, *spatial))
    halves = [size // 2 for size in spatial]
    assert table[-1].output_shape == (3,)
    assert table[-2].weights == 7 * (4 if spatial else 2) * int(np.prod(halves))
    assert len(table[-1].receptive_field) == len(spatial)


def test_padding_in_words_is_resolved() -> None:
    table = summary([Conv(8, 3, 2, padding="same"), Pool(2, padding="valid")], (3, 32, 33))
    assert table[0].padding == ((0, 1), (1, 1))
    assert table[1].padding == ((0, 0), (0, 0))
    assert table[0].output_shape == (8, 16, 17)


def test_a_summary_is_an_unchangeable_sequence() -> None:
    table = summary(LENET, (1, 32, 32))
    assert len(table) == 7
    assert table[-1] is list(table)[6]
    assert table[:2] == (table[0], table[1])
    assert table == summary(tuple(LENET), [1, 32, 32])
    with pytest.raises(FrozenInstanceError):
        table.rows = ()
    with pytest.raises(FrozenInstanceError):
        LENET[0].filters = 7
    assert len(summary([], (1, 32, 32))) == 0


def test_tables_are_aligned_and_hold_what_rows_hold() -> None:
    stack = [Conv(6, (3, 5), 2, "same", (1, 2), name="a|b"), Pool(2), Conv(8, 3, groups=2), Dense(10)]
    table = summary(stack, (3, 31, 40))
    head, rule, *rows, second_rule, total = str(table).splitlines()
    assert rule == second_rule == "-" * len(rule)
    assert max(map(len, (head, *rows, total))) == len(rule)
    assert head.split()[:7] == ["layer", "input", "output", "K", "F", "S", "P"]
    first = ["a|b", "3x31x40", "6x16x20", "6", "3x5/d1x2", "2", "1x3+4", "270", "6", "86,400"]
    assert rows[0].split()[:10] == first
    assert "8/g2" in rows[2]
    assert len(rows) == len(table) == 4
    column = head.index("multiply-adds") + len("multiply-adds")
    assert [row[:column].split()[-1] for row in rows] == [f"{row.multiply_adds:,}" for row in table]
    assert total[:column].split() == ["total", *(f"{n:,}" for n in (table.weights, table.biases, table.multiply_adds))]
    assert total.split()[-2:] == ["100.0", "100.0"]
    lines = table.to_markdown().splitlines()
    assert len(lines) == 2 + len(table) + 1
    assert len({line.count("|") for line in lines}) == 1
    assert set(lines[1]) == set("|:- ")


# ---- errors

INPUT = (3, 32, 32)
STACK = [Conv(8, 3), Dense(10)]


def of(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> tuple[Any, ...]:
    return function, arguments, keywords


@pytest.mark.parametrize(
    ("call", "error", "parts"),
    [
        (of(output_size, 7, 9), ValueError, ["9", "7"]),
        (of(output_size, 7, 0), ValueError, ["kernel_size", "0"]),
        (of(output_size, 7, 3.0), TypeError, ["kernel_size", "3.0"]),
        (of(output_size, 7, (3, 3)), ValueError, ["kernel_size", "(3, 3)"]),
        (of(output_size, 7, 3, 0), ValueError, ["stride", "0"]),
        (of(output_size, 7, 3, "2"), TypeError, ["stride", "'2'"]),
        (of(output_size, 7, 3, 1, "full"), ValueError, ["padding", "'full'", "same"]),
        (of(output_size, 7, 3, 1, -1), ValueError, ["padding", "-1"]),
        (of(output_size, 7, 3, 1, 0, 0), ValueError, ["dilation", "0"]),
        (of(output_size, 0, 3), ValueError, ["input_size", "0", ">= 1"]),
        (of(output_size, (7, -7), 3), ValueError, ["input_size", "(7, -7)", ">= 1"]),
        (of(output_size, (), 3), ValueError, ["input_size", "()", "1 to 3"]),
        (of(output_size, (7, 7, 7, 7), 3), ValueError, ["input_size", "1 to 3"]),
        (of(output_size, 7.0, 3), TypeError, ["input_size", "7.0"]),
        (of(output_size, "7", 3), TypeError, ["input_size", "'7'"]),
        (of(output_size, True, 3), TypeError, ["input_size", "True"]),
        (of(output_size, None, 3), TypeError, ["input_size", "None"]),
        (of(output_size, 7, 3, output_padding=1), ValueError, ["output_padding", "1", "transposed"]),
        (of(output_size, 7, 3, output_padding="1"), TypeError, ["output_padding", "'1'"]),
        (of(output_size, 7, 3, 2, output_padding=2, transposed=True), ValueError, ["output_padding", "2"]),
        (of(output_size, 1, 3, 1, 2, transposed=True), ValueError, ["1", "3", "2"]),
        (of(output_size, 7, 3, ceil_mode=True, transposed=True), ValueError, ["ceil_mode", "True", "transposed"]),
        (of(output_size, 7, 3, ceil_mode="yes"), TypeError, ["ceil_mode", "'yes'"]),
        (of(output_size, 7, 3, transposed=2), TypeError, ["transposed", "2"]),
        (of(output_size, 7, 3, padding=3, ceil_mode=True), ValueError, ["padding", "3"]),
        (of(same_padding, 0, 3), ValueError, ["input_size", "0"]),
        (of(same_padding, 7, 0), ValueError, ["kernel_size", "0", ">= 1"]),
        (of(same_padding, (7, 7), (3,)), ValueError, ["kernel_size", "(3,)", "2 ints"]),
        (of(same_padding, 7, 3, 1.5), TypeError, ["stride", "1.5"]),
        (of(same_padding, 7, 3, 1, -1), ValueError, ["dilation", "-1"]),
        (of(same_padding, 7, 2**40, 1, 2**40), ValueError, ["same", "64 bits"]),
        (of(parameter_count, (6,)), ValueError, ["weight_shape", "(6,)", "2 to 5"]),
        (of(parameter_count, (6, 0, 5)), ValueError, ["weight_shape", "(6, 0, 5)", ">= 1"]),
        (of(parameter_count, (6, 1.0)), TypeError, ["weight_shape", "(6, 1.0)"]),
        (of(parameter_count, 6), TypeError, ["weight_shape", "6"]),
        (of(parameter_count, (6, 1), bias="no"), TypeError, ["bias", "'no'"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), unit="macs"), ValueError, ["unit", "'macs'", "'multiply-adds'"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), unit=2), TypeError, ["unit", "2", "'flops'"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), layout="NWC"), ValueError, ["layout", "'NWC'", "'NHWC'"]),
        (of(flop_count, INPUT, (8, 4, 3, 3)), ValueError, ["(8, 4, 3, 3)", "(3, 32, 32)", "groups"]),
        (of(flop_count, INPUT, (8, 1, 3, 3), groups=3), ValueError, ["groups", "3", "divisible"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), groups=0), ValueError, ["groups", "0", ">= 1"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), groups=1.0), TypeError, ["groups", "1.0"]),
        (of(flop_count, INPUT, (8, 3, 33, 3)), ValueError, ["33", "32"]),
        (of(flop_count, INPUT, (8, 3, 3, 3), 0), ValueError, ["stride", "0"]),
        (of(flop_count, INPUT, (8, 3)), ValueError, ["weight_shape", "(8, 3)", "*kernel"]),
        (of(flop_count, (32, 32), (8, 3, 3, 3)), ValueError, ["input_shape", "(32, 32)", "(C, *spatial)"]),
        (of(flop_count, 32, (8, 3, 3, 3)), TypeError, ["input_shape", "32"]),
        (of(receptive_field, Conv(8, 3)), TypeError, ["layers", "Conv(", "sequence"]),
        (of(receptive_field, 3), TypeError, ["layers", "3"]),
        (of(receptive_field, [Conv(8, 3), 3]), TypeError, ["layers[1]", "3", "Pool"]),
        (of(receptive_field, STACK), ValueError, ["layers[1]", "Dense", "input_size"]),
        (of(receptive_field, [Conv(8, 3, 2, "same")]), ValueError, ["layers[0]", "'same'", "input_size"]),
        (of(receptive_field, [Pool(2, padding="same")]), ValueError, ["layers[0]", "'same'", "input_size"]),
        (of(receptive_field, [Conv(8, 3, 0)]), ValueError, ["layers[0]", "stride", "0"]),
        (of(receptive_field, [Conv(8, (3, 3)), Pool((2, 2, 2))]), ValueError, ["layers[1]", "(2, 2, 2)", "2 ints"]),
        (of(receptive_field, [Conv(8, (3,) * 4)]), ValueError, ["4 spatial axes", "1 to 3"]),
        (of(receptive_field, [Conv(8, ())]), ValueError, ["0 spatial axes"]),
        (of(receptive_field, [Conv(8, "3")]), TypeError, ["layers[0]", "kernel_size", "'3'"]),
        (of(receptive_field, [Conv(8, 9)], 7), ValueError, ["layers[0]", "9", "7"]),
        (of(receptive_field, [Conv(8, 3)], 0), ValueError, ["input_size", "0"]),
        (of(receptive_field, [Dense(8), Conv(8, 3)], 7), ValueError, ["layers[1]", "Conv", "Dense"]),
        (of(summary, [Conv(8, 3), "pool"], INPUT), TypeError, ["layers[1]", "'pool'", "Pool"]),
        (of(summary, Dense(8), INPUT), TypeError, ["layers", "Dense("]),
        (of(summary, [Conv(0, 3)], INPUT), ValueError, ["layers[0] (conv1)", "filters", "0", ">= 1"]),
        (of(summary, [Conv(8.0, 3)], INPUT), TypeError, ["layers[0] (conv1)", "filters", "8.0"]),
        (of(summary, [Conv(8, 3, groups=2)], INPUT), ValueError, ["groups", "2", "3 channels", "8 filters"]),
        (of(summary, [Conv(8, 3, bias=3)], INPUT), TypeError, ["bias", "3"]),
        (of(summary, [Conv(8, 3), Conv(8, 31, name="deep")], INPUT), ValueError, ["layers[1] (deep)", "31", "30"]),
        (of(summary, [Conv(8, 3, -1)], INPUT), ValueError, ["layers[0] (conv1)", "stride", "-1"]),
        (of(summary, [Pool(2, padding=2)], INPUT), ValueError, ["layers[0] (pool1)", "padding"]),
        (of(summary, [Pool(2, ceil_mode=3)], INPUT), TypeError, ["layers[0] (pool1)", "ceil_mode", "3"]),
        (of(summary, [Dense(0)], INPUT), ValueError, ["layers[0] (dense1)", "units", "0"]),
        (of(summary, [Dense(8), Pool(2)], INPUT), ValueError, ["layers[1]", "Pool", "Dense"]),
        (of(summary, [Conv(8, 3)], (3,)), ValueError, ["layers[0] (conv1)", "(3,)", "(C, *spatial)"]),
        (of(summary, STACK, (3, 0, 32)), ValueError, ["input_shape", "(3, 0, 32)", ">= 1"]),
        (of(summary, STACK, (1, 2, 3, 4, 5)), ValueError, ["input_shape", "(1, 2, 3, 4, 5)", "spatial"]),
        (of(summary, STACK, 32), TypeError, ["input_shape", "32"]),
        (of(summary, STACK, (3, 32.0, 32)), TypeError, ["input_shape", "32.0"]),
    ],
    ids=lambda value: value[0].__name__ if isinstance(value, tuple) else "",
)
def test_errors_name_the_function_the_argument_its_value_and_what_is_allowed(
    call: tuple[Any, ...], error: type[Exception], parts: list[str]
) -> None:
    function, arguments, keywords = call
    with pytest.raises(error) as caught:
        function(*arguments, **keywords)
    message = str(caught.value)
    assert message.startswith(f"{function.__name__}: ")
    assert message.count("output_size: ") == (function is output_size)
    for part in parts:
        assert part in message, message
