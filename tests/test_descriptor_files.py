"""Problems given by numbers, in files, and by logs of real calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawn_layers import convolutions, geometry
from hypothesis import given
from hypothesis import strategies as st

from fastconv import _verbose
from fastconv.bench import descriptor
from fastconv.bench.descriptor import Line, by_hand, format, parse_file
from fastconv.bench.workloads import Conv, Pool

# ---- numbers


@pytest.mark.parametrize(
    ("text", "flags", "layer", "batch"),
    [
        ("1,64,56,56,64,3,3", {"padding": "1"}, Conv("", 64, (56, 56), 64, (3, 3), padding=1), 1),
        ("2,3,1000,8,9", {}, Conv("", 3, (1000,), 8, (9,)), 2),
        ("2,3,8,9,10,4,1,2,3", {"bias": False}, Conv("", 3, (8, 9, 10), 4, (1, 2, 3), bias=False), 2),
        (
            "1,4,9,8,6,3,3",
            {"stride": "2,1", "padding": "1:0,2", "dilation": "1,2", "groups": "2"},
            Conv("", 4, (9, 8), 6, (3, 3), stride=(2, 1), padding=((1, 0), (2, 2)), dilation=(1, 2), groups=2),
            1,
        ),
        ("1,4,9,8,6,3,3", {"padding": "1,2"}, Conv("", 4, (9, 8), 6, (3, 3), padding=(1, 2)), 1),
        ("1,4,9,8,6,3,3", {"padding": "1:1"}, Conv("", 4, (9, 8), 6, (3, 3), padding=1), 1),
    ],
)
def test_by_hand(text: str, flags: dict[str, Any], layer: Conv, batch: int) -> None:
    found = by_hand(text, **flags)
    assert replace(found.layer, name="") == layer
    assert (found.batch, found.pass_name) == (batch, None)
    assert found.layer.name == format(layer, batch)


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("1,2,3", {}, "--conv, column 6: expected N,C,W,K,S or N,C,H,W,K,R,S or N,C,D,H,W,K,T,R,S, found 3 numbers"),
        ("", {}, "--conv, column 1: expected a number from 1"),
        ("1,64,x,56,64,3,3", {}, "--conv, column 6: expected a number from 1"),
        ("1,64,0,56,64,3,3", {}, "--conv, column 6: expected a number from 1"),
        ("1,64,56,56,64,3,57", {}, "--conv, column 17: a kernel that reaches over 57 does not fit into 56 + 0 + 0"),
        ("1,64,56,56,64,3,3", {"dilation": "1,28"}, "--conv, column 17: a kernel that reaches over 57"),
        (
            "1,64,56,56,64,3,3",
            {"stride": "1,2,3"},
            "--stride, column 6: expected one number, or 2, one for each of h, w",
        ),
        ("1,64,56,64,3", {"stride": "1,2"}, "--stride, column 4: expected one number; found 2"),
        ("1,64,56,56,64,3,3", {"stride": "0"}, "--stride, column 1: expected a number from 1"),
        ("1,64,56,56,64,3,3", {"padding": "1,2:x"}, "--padding, column 5: expected a number from 0"),
        ("1,64,56,56,64,3,3", {"padding": "-1"}, "--padding, column 1: expected a number from 0"),
        ("1,64,56,56,64,3,3", {"groups": "3"}, "--groups, column 1: 3 groups do not divide 64 channels and 64 filters"),
    ],
)
def test_malformed_numbers(text: str, flags: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        by_hand(text, **flags)  # type: ignore[arg-type]


# ---- files


def written(folder: Path, text: str) -> Path:
    path = folder / "problems.txt"
    path.write_bytes(text.encode())
    return path


def test_a_file_of_descriptors(tmp_path: Path) -> None:
    text = """\
# layers of something
ic3ih8oc4kh3n"first"

--dir=BWD_D --mb=4 --dt=f64
ic3ih8oc4kh3n"second"       # options above hold
--pool ic4ih8kh2sh2         # and here, once
g2ic4ih8oc4kh3
--reset
ic3ih8oc4kh3n"the first again"
--deconv
ic3ih8oc4kh3
"""
    conv, pool = Conv("first", 3, (8, 8), 4, (3, 3)), Pool("ic4ih8kh2sh2", "max", 4, (8, 8), (2, 2), stride=2)
    grad = {"batch": 4, "pass_name": "grad_input", "dtype": "float64", "layout": None}
    plain = {"batch": 2, "pass_name": None, "dtype": None, "layout": None}
    assert parse_file(written(tmp_path, text)) == [
        Line(replace(conv, count=2), **plain, number=2),
        Line(replace(conv, name="second", bias=False), **grad, number=5),
        Line(pool, **grad, number=6),
        Line(replace(conv, name="g2ic4ih8oc4kh3", channels=4, groups=2, bias=False), **grad, number=7),
        Line(replace(conv, name="ic3ih8oc4kh3", transposed=True), **plain, number=11),
    ]
    assert parse_file(str(written(tmp_path, "ic4ih8kh2sh2")), driver="pool", alg="avg_p") == [
        Line(replace(pool, kind="avg"), **plain, number=1)
    ]


def test_files_of_other_systems(tmp_path: Path) -> None:
    # A byte order mark, line ends of Windows, a form feed that is no line end.
    path = written(tmp_path, "\ufeffic3ih8oc4kh3\r\n\f\r\nic3ih9oc4kh3\r\n")
    assert [(line.layer.size, line.number) for line in parse_file(path)] == [((8, 8), 1), ((9, 9), 3)]
    assert parse_file(written(tmp_path, "")) == []


def test_errors_in_files_have_their_line(tmp_path: Path) -> None:
    path = written(tmp_path, "# one\nic3ih8oc4kh3\n\x0c\n  --mb=3 ic3ih8oc4kx3\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 4, column 19: expected one of g mb ic oc")):
        parse_file(path)
    with pytest.raises(FileNotFoundError):
        parse_file(tmp_path / "missing")


# ---- logs


CALLS = """
import numpy as np
import fastconv as f

def n(*shape, dtype="float32"):
    return np.ones(shape, dtype)

print("what the application says")
print("--- and how it underlines", flush=True)
x, y = n(2, 4, 9, 8), n(2, 6, 5, 4)
f.conv2d(x, n(6, 2, 3, 3), None, 2, 1, 1, 2)
f.conv2d(x, n(6, 2, 3, 3), None, 2, 1, 1, 2)
f.conv2d(x, n(6, 4, 3, 2), n(6), (2, 1), ((1, 0), (0, 3)), (1, 2))
f.conv1d(n(1, 4, 20), n(3, 4, 5), None, 1, ((8, 0),), 2)
f.conv1d(n(1, 4, 20), n(3, 4, 3), None, 1, ((0, 6),))
f.conv2d(n(1, 4, 5, 5), n(3, 4, 3, 3), None, 2, ((1, 0), (1, 0)))
f.conv3d(n(1, 2, 5, 6, 7), n(3, 2, 2, 2, 2))
f.conv2d(n(1, 5, 5, 4), n(3, 4, 3, 3), layout="NHWC")
f.conv2d(n(1, 4, 5, 5, dtype="float64"), n(3, 4, 3, 3, dtype="float64"))
f.conv2d(n(0, 4, 5, 5), n(3, 4, 3, 3))
f.conv2d_grad_input(y, n(6, 4, 3, 3), x.shape, 2, 1)
f.conv2d_grad_weight(y, x, (6, 4, 3, 3), 2, 1)
f.conv_transpose2d(x, n(4, 3, 3, 3), None, 2, 1, 1)
f.conv_transpose2d(x, n(4, 3, 3, 3), None, 2, 1, 0, 2)
f.conv_transpose1d(n(1, 4, 9), n(4, 3, 4), None, 3, ((2, 0),))
p, i = f.max_pool2d(x, 3, 2, 1, return_indices=True)
f.max_pool2d_backward(p, i, x.shape, 3, 2, 1)
f.max_pool2d(x, 3, 2, 1, 2)
f.max_pool2d(x, 3, 2, 0, 1, True)
f.max_pool2d(x, 3, 2, ((0, 1), (1, 0)))
f.avg_pool2d_backward(f.avg_pool2d(x, 2), x.shape, 2)
f.avg_pool3d(n(1, 2, 9, 8, 7), (3, 2, 1), (2, 1, 1))
f.adaptive_avg_pool2d(x, 1)
f.local_response_norm(x, 3)
f.ConvPlan(n(6, 4, 3, 3))(x)
"""


def logged(
    layer: Conv | Pool, batch: int = 1, run: str = "forward", dtype: str = "float32", layout: str = "NCHW"
) -> Any:
    return layer, batch, run, dtype, layout


LOGGED = [
    logged(Conv("", 4, (9, 8), 6, (3, 3), stride=2, padding=1, groups=2, count=2), 2),
    logged(Conv("", 4, (9, 8), 6, (3, 2), stride=(2, 1), padding=((1, 0), (0, 3)), dilation=(1, 2)), 2),
    logged(Conv("", 4, (20,), 3, (5,), padding=((8, 0),), dilation=2)),
    logged(Conv("", 4, (20,), 3, (3,), padding=((0, 6),))),
    logged(Conv("", 4, (5, 5), 3, (3, 3), stride=2, padding=((1, 0), (1, 0)))),
    logged(Conv("", 2, (5, 6, 7), 3, (2, 2, 2))),
    logged(Conv("", 4, (5, 5), 3, (3, 3)), layout="NHWC"),
    logged(Conv("", 4, (5, 5), 3, (3, 3)), dtype="float64"),
    logged(Conv("", 4, (9, 8), 6, (3, 3), stride=2, padding=1), 2, "grad_input"),
    logged(Conv("", 4, (9, 8), 6, (3, 3), stride=2, padding=1), 2, "grad_weight"),
    logged(Conv("", 4, (9, 8), 3, (3, 3), stride=2, padding=1, output_padding=1, transposed=True), 2),
    logged(Conv("", 4, (9, 8), 6, (3, 3), stride=2, padding=1, groups=2, transposed=True), 2),
    # As good: what the stride leaves open at the end counts as output padding.
    logged(Conv("", 4, (9,), 3, (4,), stride=3, padding=2, output_padding=2, transposed=True)),
    logged(Pool("", "max", 4, (9, 8), (3, 3), stride=2, padding=1), 2),
    logged(Pool("", "max", 4, (9, 8), (3, 3), stride=2, padding=1), 2, "grad_input"),
    logged(Pool("", "max", 4, (9, 8), (3, 3), stride=2, padding=1, dilation=2), 2),
    logged(Pool("", "max", 4, (9, 8), (3, 3), stride=2, ceil_mode=True), 2),
    # As good, for a maximum: the one row of padding at the end is read by no window.
    logged(Pool("", "max", 4, (9, 8), (3, 3), stride=2, padding=(0, 1)), 2),
    logged(Pool("", "avg", 4, (9, 8), (2, 2), stride=2), 2),
    logged(Pool("", "avg", 4, (9, 8), (2, 2), stride=2), 2, "grad_input"),
    logged(Pool("", "avg", 2, (9, 8, 7), (3, 2, 1), stride=(2, 1, 1))),
    logged(Conv("", 4, (9, 8), 6, (3, 3)), 2),
]


def test_a_log_of_real_calls(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CALLS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        env=os.environ | {"FASTCONV_VERBOSE": "1"},
    )
    assert run.stdout.startswith("what the application says\n--- and")
    found = parse_file(written(tmp_path, run.stdout))
    assert [
        (replace(line.layer, name=""), line.batch, line.pass_name, line.dtype, line.layout) for line in found
    ] == LOGGED
    lines = run.stdout.split("\n")
    for line in found:
        # The line's own descriptor names the layer, and says what the layer says.
        assert f",{line.layer.name}," in lines[line.number - 1]
        assert lines[line.number - 1].startswith("fastconv,")


@given(convolutions(), st.integers(1, 9))
def test_any_call_that_ran_can_be_replayed(layer: Conv, batch: int) -> None:
    """Whatever padding it had."""
    rank, one = layer.rank, layer
    image, result = (one.channels, *_three(one.size)), (one.filters, *_three(one.output_size))
    if one.transposed:
        image, result = result, image
    text = _verbose.conv_descriptor(
        rank,
        (batch, *image),
        (0, 0, *_three(one.kernel_size)),
        (batch, *result),
        _three(one.strides),
        _three(tuple(before for before, _ in one.pads), 0),
        _three(one.dilations),
        one.groups,
    )
    op, run = (f"conv_transpose{rank}d", "grad_input") if one.transposed else (f"conv{rank}d", "forward")
    layout = "nc" + "dhw"[3 - rank :]
    source = descriptor.source.Source(f"fastconv,{op},{run},{text},f32,{layout},direct,avx2,threads=1,us=1.0", "log")
    line = descriptor.files._logged(source, 1)
    assert line is not None
    assert geometry(line.layer) == geometry(layer)
    assert (line.batch, line.pass_name, line.dtype, line.layout) == (batch, "forward", "float32", "NCHW")
    assert line.layer.transposed == layer.transposed  # type: ignore[union-attr]


def _three(numbers: tuple[int, ...], filled: int = 1) -> tuple[int, ...]:
    return (filled,) * (3 - len(numbers)) + numbers


GOOD = "fastconv,conv2d,forward,g1mb1ic4ih5iw5oc3oh3ow3kh3kw3sh1sw1ph0pw0dh0dw0,f32,nchw,im2col,avx2,threads=2,us=9.6"


@pytest.mark.parametrize(
    ("old", "new", "column", "expected"),
    [
        ("conv2d", "warp2d", 10, "expected conv, conv_transpose, max_pool or avg_pool, found 'warp2d'"),
        ("forward", "sideways", 17, "expected one of forward grad_input grad_weight backward"),
        ("kw3", "kx3", 51, "expected one of g mb ic oc"),
        ("f32", "f16", 73, "expected one of f32 f64, found 'f16'"),
        (",nchw", ",nchwc", 77, "expected a layout such as nchw or nhwc, found 'nchwc'"),
        (",f32,nchw,im2col,avx2,threads=2,us=9.6", "", 72, "expected fastconv,op,pass,descriptor,dtype,layout,..."),
        ("oh3", "oh2", 42, "oh2 does not follow"),
    ],
)
def test_malformed_lines_of_logs(tmp_path: Path, old: str, new: str, column: int, expected: str) -> None:
    path = written(tmp_path, f"{GOOD}\nthe application\n{GOOD.replace(old, new, 1)}\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 3, column {column}: {expected}")):
        parse_file(path)


def test_a_log_merges_equal_calls(tmp_path: Path) -> None:
    lines = parse_file(
        written(tmp_path, f"noise\n{GOOD}\n{GOOD.replace('us=9.6', 'us=1.0')}\n{GOOD.replace('f32', 'f64')}\n")
    )
    assert [(line.layer.count, line.dtype, line.number) for line in lines] == [(2, "float32", 2), (1, "float64", 4)]
