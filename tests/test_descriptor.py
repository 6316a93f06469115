"""benchdnn's notation of problems: what it says, there and back, its rules, and the places of errors."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from drawn_layers import convolutions, geometry, poolings
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fastconv.bench import descriptor
from fastconv.bench.descriptor import format, parse
from fastconv.bench.workloads import NETS, Conv, Layer, Norm, Pool

LAYERS = [
    pytest.param(layer, id=f"{name}-{layer.name}")
    for name, net in NETS.items()
    for layer in net.layers
    if not isinstance(layer, Norm)
]


def read(text: str, **kind: Any) -> Any:
    """The layer that a text describes, without its name."""
    return replace(parse(text, **kind).layer, name="")


def options(layer: Layer) -> str:
    """What benchdnn is told beside the descriptor."""
    if isinstance(layer, Conv):
        return f"--{'deconv' if layer.transposed else 'conv'} --dir={'FWD_B' if layer.bias else 'FWD_D'}"
    assert isinstance(layer, Pool)
    return f"--pool --alg={'max' if layer.kind == 'max' else 'avg_p' if layer.count_include_pad else 'avg_np'}"


def told(layer: Any) -> Any:
    """A layer as far as a descriptor tells of it: not its name, its count, nor padding that no window reaches."""
    layer = replace(layer, name="", count=1)
    if isinstance(layer, Pool):
        layer = replace(layer, kind="max" if layer.kind == "max" else "avg")
        floored = replace(layer, ceil_mode=False)
        return floored if floored.output_size == layer.output_size else layer
    return layer


# ---- what descriptors say


TABLE = {
    # the forms of the issue and of benchdnn's own files
    "mb1ic64ih56oc64oh56kh3ph1": (Conv("", 64, (56, 56), 64, (3, 3), padding=1), 1),
    "mb1_ic64ih56_oc64oh56_kh3ph1": (Conv("", 64, (56, 56), 64, (3, 3), padding=1), 1),
    "g32mb1ic128ih28oc128oh28kh3ph1": (Conv("", 128, (28, 28), 128, (3, 3), padding=1, groups=32), 1),
    "g1mb1ic3ih224iw224oc64oh112ow112kh7kw7sh2sw2ph3pw3dh0dw0": (
        Conv("", 3, (224, 224), 64, (7, 7), stride=2, padding=3),
        1,
    ),
    # defaults: two items, stride 1, no dilation, output from the rest without padding
    "ic3ih8oc4kh3": (Conv("", 3, (8, 8), 4, (3, 3)), 2),
    "ic3ih8oc4kh3mb7": (Conv("", 3, (8, 8), 4, (3, 3)), 7),
    "kh3oc4ih8ic3": (Conv("", 3, (8, 8), 4, (3, 3)), 2),
    # dilation counts from nought
    "ic3ih8oc4kh3dh0": (Conv("", 3, (8, 8), 4, (3, 3), dilation=1), 2),
    "ic3ih8oc4kh3dh1": (Conv("", 3, (8, 8), 4, (3, 3), dilation=2), 2),
    "ic3ih9iw9oc4kh3kw3dh1dw2": (Conv("", 3, (9, 9), 4, (3, 3), dilation=(2, 3)), 2),
    # padding as even as possible where the output is given and it is not
    "ic3ih8oc4oh8kh3": (Conv("", 3, (8, 8), 4, (3, 3), padding=1), 2),
    "ic3ih8oc4oh8kh5": (Conv("", 3, (8, 8), 4, (5, 5), padding=2), 2),
    "ic3ih8oc4oh8kh4": (Conv("", 3, (8, 8), 4, (4, 4), padding=((1, 2), (1, 2))), 2),
    "ic3ih8oc4oh8kh3dh1": (Conv("", 3, (8, 8), 4, (3, 3), padding=2, dilation=2), 2),
    "ic3ih9oc4oh5kh3sh2": (Conv("", 3, (9, 9), 4, (3, 3), stride=2, padding=1), 2),
    # padding at the end from the output
    "ic3ih8oc4oh8kh3ph0": (Conv("", 3, (8, 8), 4, (3, 3), padding=((0, 2), (0, 2))), 2),
    "ic3ih8oc4oh8kh3ph2": (Conv("", 3, (8, 8), 4, (3, 3), padding=((2, 0), (2, 0))), 2),
    "ic3ih5oc4oh2kh3sh2ph1": (Conv("", 3, (5, 5), 4, (3, 3), stride=2, padding=((1, 0), (1, 0))), 2),
    "ic3iw100oc4ow100kw3dw7pw16": (Conv("", 3, (100,), 4, (3,), dilation=8, padding=((16, 0),)), 2),
    # one, two and three axes; missing ones copied
    "ic3iw100oc4kw9": (Conv("", 3, (100,), 4, (9,)), 2),
    "ic3id8oc4kd3pd1": (Conv("", 3, (8, 8, 8), 4, (3, 3, 3), padding=1), 2),
    "ic3id8ih9iw10oc4kd1kh2kw3": (Conv("", 3, (8, 9, 10), 4, (1, 2, 3)), 2),
    "ic3ih8iw9oc4kh3kw3sh2sw1ph1pw0": (Conv("", 3, (8, 9), 4, (3, 3), stride=(2, 1), padding=(1, 0)), 2),
    "ic3ih8iw0oc4kh3kw0": (Conv("", 3, (8, 8), 4, (3, 3)), 2),
}


@pytest.mark.parametrize("text", TABLE)
def test_convolutions(text: str) -> None:
    layer, batch = TABLE[text]
    assert read(text) == layer
    found = parse(text)
    assert (found.batch, found.pass_name, found.layer.name) == (batch, None, text)


DECONVS = {
    "mb1ic8ih4oc6oh8kh4sh2ph1": Conv("", 8, (4, 4), 6, (4, 4), stride=2, padding=1, transposed=True),
    "ic8ih4oc6kh2sh2": Conv("", 8, (4, 4), 6, (2, 2), stride=2, transposed=True),
    "ic8ih4oc6oh8kh3sh2ph1": Conv("", 8, (4, 4), 6, (3, 3), stride=2, padding=1, output_padding=1, transposed=True),
    "ic8ih4oc6oh7kh3sh2ph1": Conv("", 8, (4, 4), 6, (3, 3), stride=2, padding=1, transposed=True),
    "ic8ih4oc6oh8kh3sh2ph0": Conv("", 8, (4, 4), 6, (3, 3), stride=2, padding=((0, 1), (0, 1)), transposed=True),
    "ic8ih4oc6oh10kh3sh2ph0": Conv("", 8, (4, 4), 6, (3, 3), stride=2, output_padding=1, transposed=True),
    "ic8ih4oc6oh9kh3sh2ph1": Conv(
        "", 8, (4, 4), 6, (3, 3), stride=2, padding=((1, 0), (1, 0)), output_padding=1, transposed=True
    ),
    "ic8iw4oc6kw3dw1": Conv("", 8, (4,), 6, (3,), dilation=2, transposed=True),
    "g2ic8id4oc6kd3": Conv("", 8, (4, 4, 4), 6, (3, 3, 3), groups=2, transposed=True),
}


@pytest.mark.parametrize("text", DECONVS)
def test_transposed_convolutions(text: str) -> None:
    assert read(text, driver="deconv") == read(f"--deconv {text}") == DECONVS[text]
    size = re.search(r"oh(\d+)", text)
    assert not size or DECONVS[text].output_size[0] == int(size.group(1))


POOLS = {
    "mb1ic64ih112kh3sh2ph1": Pool("", "max", 64, (112, 112), (3, 3), stride=2, padding=1),
    "mb1ic64ih112oh56kh3sh2ph0": Pool("", "max", 64, (112, 112), (3, 3), stride=2, ceil_mode=True),
    "ic6ih28oh14kh2sh2": Pool("", "max", 6, (28, 28), (2, 2), stride=2),
    "ic6iw28kw3": Pool("", "max", 6, (28,), (3,), stride=1),
    "ic6id8ih9iw10kd2kh2kw2sd1sh2sw2": Pool("", "max", 6, (8, 9, 10), (2, 2, 2), stride=(1, 2, 2)),
    "ic6ih9oh4kh3sh2ph1dh1": Pool("", "max", 6, (9, 9), (3, 3), stride=2, padding=1, dilation=2),
    "ic6iw9kw2pw2dw2": Pool("", "max", 6, (9,), (2,), stride=1, padding=2, dilation=3),
    "ic6iw1ow1kw2sw2pw0": Pool("", "max", 6, (1,), (2,), stride=2, padding=((0, 1),)),
    "ic6iw9ow9kw3pw0": Pool("", "max", 6, (9,), (3,), stride=1, padding=((0, 2),)),
}


@pytest.mark.parametrize("text", POOLS)
def test_poolings(text: str) -> None:
    assert read(text, driver="pool") == read(f"--pool {text}") == POOLS[text]
    if "dh" not in text and "dw" not in text:
        mean = replace(POOLS[text], kind="avg")
        assert read(f"--pool --alg=avg_p {text}") == read(text, driver="pool", alg="avg_p") == mean
        assert read(f"--pool --alg=pooling_avg_exclude_padding {text}") == replace(mean, count_include_pad=False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ic3ih8oc4kh3nconv1", "conv1"),
        ("ic3ih8oc4kh3_nresnet:conv1*3", "resnet:conv1*3"),
        ('ic3ih8oc4kh3n"a layer # 1"', "a layer # 1"),
        ("ic3ih8oc4kh3", "ic3ih8oc4kh3"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert parse(text).layer.name == name


@pytest.mark.parametrize(
    ("text", "pass_name", "bias", "batch"),
    [
        ("ic3ih8oc4kh3", None, True, 2),
        ("--dir=FWD_B ic3ih8oc4kh3", "forward", True, 2),
        ("--dir=FWD_D ic3ih8oc4kh3", "forward", False, 2),
        ("--dir=FWD_I --mb=5 mb3ic3ih8oc4kh3", "forward", False, 5),
        ("--mb=0 --dir=BWD_D mb3ic3ih8oc4kh3", "grad_input", False, 3),
        ("--conv --dir=BWD_W --dt=f64 ic3ih8oc4kh3 # a comment", "grad_weight", False, 2),
        ("   --dir=BWD_WB   ic3ih8oc4kh3", "grad_weight", True, 2),
    ],
)
def test_options(text: str, pass_name: str, bias: bool, batch: int) -> None:
    found = parse(text)
    assert (found.pass_name, found.layer.bias, found.batch) == (pass_name, bias, batch)  # type: ignore[union-attr]


# ---- there and back


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_there_and_back(layer: Any) -> None:
    for batch in (1, 2, 16):
        text = format(layer, batch, name=True)
        found = parse(f"{options(layer)} {text}")
        assert told(found.layer) == told(layer)
        assert (found.batch, found.layer.name) == (batch, layer.name)
        assert found.layer.output_size == layer.output_size
        assert format(found.layer, batch, name=True) == text


@pytest.mark.parametrize(
    ("layer", "batch", "text"),
    [
        (Conv("a", 64, (56, 56), 64, (3, 3), padding=1), 1, "mb1ic64ih56oc64oh56kh3ph1"),
        (Conv("a", 3, (9, 9), 4, (3, 3), stride=2, dilation=2, groups=1), 2, "mb2ic3ih9oc4oh3kh3sh2ph0dh1"),
        (Conv("a", 4, (9, 8), 4, (3, 3), groups=4), 1, "g4mb1ic4ih9iw8oc4oh7ow6kh3kw3ph0pw0"),
        (Conv("a", 4, (100,), 4, (9,), padding=4), 1, "mb1ic4iw100oc4ow100kw9pw4"),
        (Conv("a", 4, (8, 8, 8), 4, (3, 3, 3)), 1, "mb1ic4id8oc4od6kd3pd0"),
        (Conv("a", 4, (8, 8), 2, (2, 2), stride=2, transposed=True), 1, "mb1ic4ih8oc2oh16kh2sh2ph0"),
        (Pool("a", "max", 4, (9, 9), (3, 3), stride=2, ceil_mode=True), 1, "mb1ic4ih9oh4kh3sh2ph0"),
    ],
)
def test_format(layer: Any, batch: int, text: str) -> None:
    assert format(layer, batch) == text
    assert format(layer, batch, name=True) == f'{text}n"a"'


def test_norms_have_no_descriptor() -> None:
    with pytest.raises(TypeError, match="Norm has no descriptor"):
        format(Norm("a", 4, (5, 5), 5, 1e-4, 0.75, 1.0))


@given(convolutions(), st.integers(1, 99))
def test_any_convolution_there_and_back(layer: Conv, batch: int) -> None:
    text = format(layer, batch)
    # Whole windows in the padding at the end: a log has them, nobody writes them.
    axes = zip(layer.output_size, layer.strides, layer.size, layer.pads, strict=True)
    wild = any((out - 1) * s >= n + before != n + after for out, s, n, (before, after) in axes)
    assume(layer.transposed or not wild)
    found = parse(f"{options(layer)} {text}")
    assert geometry(found.layer) == geometry(layer)
    assert (found.layer.channels, found.layer.filters, found.layer.groups) == (  # type: ignore[union-attr]
        layer.channels,
        layer.filters,
        layer.groups,
    )
    assert found.batch == batch
    assert format(found.layer, batch) == text


@given(poolings(), st.integers(1, 99))
def test_any_pooling_there_and_back(layer: Pool, batch: int) -> None:
    found = parse(f"{options(layer)} {format(layer, batch)}")
    assert told(found.layer) == told(replace(layer, **{k: _one(getattr(layer, k)) for k in FIELDS}))
    assert geometry(found.layer) == geometry(layer)
    assert found.batch == batch


FIELDS = ("stride", "padding", "dilation")


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(0, 3), st.integers(1, 40), st.data())
def test_sizes_follow_benchdnns_formulas(n: int, k: int, s: int, d: int, out: int, data: Any) -> None:
    # compute_out and compute_pad of conv_aux.cpp.
    reach = (k - 1) * (d + 1) + 1
    p = data.draw(st.integers(0, reach))
    if n + 2 * p >= reach:
        layer = read(f"ic1iw{n}oc1kw{k}sw{s}dw{d}pw{p}")
        assert layer.output_size == ((n - reach + 2 * p) // s + 1,)
    try:
        layer = read(f"ic1iw{n}oc1ow{out}kw{k}sw{s}dw{d}")
    except ValueError:
        return
    assert layer.output_size == (out,)
    assert layer.pads[0][0] == max(0, ((out - 1) * s - n + reach) // 2)


@given(st.text('gmbicodhwkspn0123456789_" #-=\t', max_size=40))
@example("ic1ih1oc1kh1")
@example('n"')
@example("--")
def test_whatever_is_written_is_read_or_an_error_with_its_place(text: str) -> None:
    for driver in ("conv", "deconv", "pool"):
        try:
            parse(text, driver=driver)  # type: ignore[arg-type]
        except ValueError as error:
            assert_placed(error, text)


entry = st.builds(lambda key, number: f"{key}{number}", st.sampled_from(descriptor.notation.KEYS), st.integers(0, 12))


@given(st.lists(entry, max_size=12))
def test_any_entries_are_read_or_an_error_with_its_place(entries: list[str]) -> None:
    text = "".join(entries)
    for driver in ("conv", "deconv", "pool"):
        try:
            found = parse(text, driver=driver)  # type: ignore[arg-type]
        except ValueError as error:
            assert_placed(error, text)
        else:
            for key, axis in re.findall(r"o([dhw])(\d+)", text):
                assert int(axis) in (0, found.layer.output_size["dhw".index(key) - 3 + found.layer.rank])


def assert_placed(error: ValueError, text: str) -> None:
    first, line, mark = str(error).split("\n")
    match = re.fullmatch(r"line 1, column (\d+): .+", first)
    assert match
    assert line == f"  {text}"
    assert mark == " " * (int(match.group(1)) + 1) + "^"
    assert 1 <= int(match.group(1)) <= len(text) + 1


# ---- errors


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "expected a descriptor"),
        ("--pool", 7, "expected a descriptor"),
        ("# nothing", 10, "expected a descriptor"),
        ("mb1ic64ih56oc64kx3", 16, "expected one of g mb ic oc"),
        ("xic3ih8oc4kh3", 1, "expected one of g mb ic oc"),
        ("ic3ih8 oc4kh3", 8, "end of the line after a descriptor, found 'oc4kh3'"),
        ("ic3ih8oc4kh", 12, "kh needs a number"),
        ("ic3ihoc4kh3", 6, "ih needs a number"),
        ("ic3ih-8oc4kh3", 6, "ih needs a number"),
        ("ic3ih8ih9oc4kh3", 7, "ih is given twice"),
        ("ic3ih1234567890oc4kh3", 6, "at most 9 digits"),
        ("ih8oc4kh3", 10, "expected ic (input channels)"),
        ("ic0ih8oc4kh3", 1, "expected ic (input channels) of 1 or more"),
        ("ic3ih8kh3", 10, "expected oc (output channels; for a pooling, write --pool before)"),
        ("ic3ih8oc0kh3", 7, "expected oc"),
        ("ic3oc4", 7, "expected sizes: ih and kh for images"),
        ("ic3oc4kh3", 10, "expected ih (input size)"),
        ("ic3ih8oc4", 10, "expected kh (kernel size)"),
        ("ic3ih8oc4kh0", 10, "expected kh (kernel size) of 1 or more"),
        ("ic3ih8oc4kh3sh0", 13, "expected sh (stride) of 1 or more"),
        ("mb0ic3ih8oc4kh3", 1, "expected mb (items) of 1 or more"),
        ("g0ic3ih8oc4kh3", 1, "expected g (groups) of 1 or more"),
        ("g3ic4ih8oc6kh3", 1, "g3 does not divide ic4 and oc6"),
        ("ic3ih8oc4kh9", 10, "kh9 dh0 does not fit into ih8 with ph0"),
        ("ic3ih8oc4kh3dh4", 10, "kh3 dh4 does not fit into ih8"),
        ("ic3ih56oc4oh65kh3ph1", 11, "oh65 does not follow from ih56 kh3 sh1 ph1 dh0: expected 55 to 57"),
        ("ic3ih56oc4oh5kh3ph1", 11, "oh5 does not follow from ih56 kh3 sh1 ph1 dh0: expected 55 to 57"),
        ("ic3ih8oc4oh2kh3sh2", 10, "oh2 does not follow from ih8 kh3 sh2 ph0 dh0: expected 3 to 4"),
        ("ic3id8ih8oc4kd3kh3", 19, "expected entries of both h and w or of neither"),
        ("ic3ih8oc4kh3n", 14, "n needs a name"),
        ('ic3ih8oc4kh3n""', 14, "n needs a name"),
        ('ic3ih8oc4kh3n"abc', 14, "the quotes closed at the end"),
        ("--alg=best ic3ih8oc4kh3", 7, "--alg= needs one of max"),
        ("--dir ic3ih8oc4kh3", 6, "--dir= needs one of FWD_B"),
        ("--dt=f16 ic3ih8oc4kh3", 6, "--dt= needs one of f32 f64"),
        ("--mb=two ic3ih8oc4kh3", 6, "expected a number from 0"),
        ("--fast ic3ih8oc4kh3", 1, "expected --conv --deconv --pool"),
        ("--conv -x ic3ih8oc4kh3", 8, "expected --conv --deconv --pool"),
        ("--pool g2ic4ih8kh3", 8, "a pooling has no g"),
        ("--pool ic4ih8oc4kh3", 14, "a pooling has no oc"),
        ("--pool ic4ih8kh3ph3", 17, "ph3: the padding of a pooling must be smaller than its window of 3"),
        ("--pool --alg=avg_p ic4ih8kh3dh1", 29, "only a maximum pooling has a dilation"),
        ("--pool --dir=BWD_W ic4ih8kh3", 20, "a pooling has no weights, so no --dir=BWD_W"),
        ("--deconv ic4ih4oc6oh20kh3sh2ph0", 19, "oh20 does not follow from ih4 kh3 sh2 ph0 dh0: expected 1 to 10"),
        ("--deconv ic4ih4oc6kh3ph4", 22, "ph4 takes away all of the output, which is 6 without padding"),
    ],
)
def test_malformed_descriptors(text: str, column: int, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        parse(text)
    assert str(caught.value).startswith(f"line 1, column {column}: ")
    assert_placed(caught.value, text)


@pytest.mark.parametrize(("name", "value"), [("driver", "matmul"), ("alg", "min")])
def test_unknown_kinds(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is '{value}'"):
        parse("ic3ih8oc4kh3", **{name: value})  # type: ignore[arg-type]
