"""The tables of nets against what papers and other definitions say of them, and against the rules of the ops."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

import fastconv
from fastconv import arithmetic
from fastconv.bench import check
from fastconv.bench.passes import covering, describe, passes
from fastconv.bench.workloads import NETS, Conv, Layer, Net, Norm, Pool
from fastconv.bench.workloads.walk import Walk, merged

LAYERS = [pytest.param(layer, id=f"{name}-{layer.name}") for name, net in NETS.items() for layer in net.layers]


def biases(net: Net) -> int:
    return sum(layer.count * layer.filters for layer in net.convs if layer.bias)


def outputs(net: Net) -> int:
    return sum(layer.count * layer.filters for layer in net.convs)


def inputs(net: Net) -> int:
    return sum(layer.count * layer.channels for layer in net.convs)


# ---- sums


SUMS = {
    # name: weights of all convolutions without biases, their multiply-adds. Each is derived below.
    "lenet5": (2_550, 357_600),
    "alexnet": (2_332_704, 665_784_864),
    "vgg16": (14_710_464, 15_346_630_656),
    "resnet18": (11_166_912, 1_813_561_344),
    "resnet50": (23_454_912, 4_087_136_256),
    "squeezenet1_0": (1_244_448, 818_924_576),
    "densenet121": (6_870_208, 2_833_137_664),
    "densenet161": (26_252_064, 7_725_699_072),
    "inception_v3": (21_751_136, 5_711_168_096),
    "googlenet": (5_585_344, 1_497_352_192),
    "shufflenet_v2_x1_0": (1_237_424, 143_883_992),
    "mobilenet_v2": (2_189_760, 299_494_272),
    "resnext50": (22_911_680, 4_228_431_872),
    "convnext_tiny": (27_756_000, 4_454_763_264),
    "unet": (31_023_808, 150_428_424_448),
    "wavenet": (1_484_800, 23_756_800_000),
    "c3d": (27_653_184, 38_496_632_832),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums(name: str) -> None:
    assert (NETS[name].weights, NETS[name].multiply_adds) == SUMS[name]


def test_every_net_has_sums() -> None:
    assert {*SUMS, "images"} == set(NETS)


def test_lenet5() -> None:
    # LeCun et al., 1998, section II.B: C1 has 156 trainable parameters and 122,304 connections, biases included. C3 has
    # 1,516: its table connects 60 of the 16 * 6 pairs of a map and an input.
    conv1, conv2 = NETS["lenet5"].convs
    assert conv1.weights + 6 == 156
    assert conv1.multiply_adds + 6 * 28 * 28 == 122_304
    assert conv2.weights * 60 // 96 + 16 == 1_516
    assert NETS["lenet5"].weights == 6 * 25 + 16 * 6 * 25 == 2_550
    assert NETS["lenet5"].multiply_adds == 150 * 28**2 + 2_400 * 10**2
    # S2 is 6 maps of 14x14, S4 16 maps of 5x5.
    assert [(p.channels, p.output_size) for p in NETS["lenet5"].layers if isinstance(p, Pool)] == [
        (6, (14, 14)),
        (16, (5, 5)),
    ]


def test_alexnet() -> None:
    # Krizhevsky et al., 2012, figure 2: 186,624, 64,896, 64,896 and 43,264 neurons in layers 2 to 5 (its 253,440 of the
    # first contradict the 55x55x96 that it shows); 60 million parameters. Sums: Chen et al., "Eyeriss", ISSCC 2016:
    # 2.3 M weights, 666 M multiply-adds for 227x227, and for VGG-16 14.7 M and 15.3 G.
    net = NETS["alexnet"]
    neurons = [layer.filters * math.prod(layer.output_size) for layer in net.convs]
    assert neurons == [55 * 55 * 96, 186_624, 64_896, 64_896, 43_264]
    assert round(net.weights / 1e6, 1) == 2.3
    assert round(net.multiply_adds / 1e6) == 666
    assert round(NETS["vgg16"].weights / 1e6, 1) == 14.7
    assert round(NETS["vgg16"].multiply_adds / 1e9, 1) == 15.3
    dense = 256 * 6 * 6 * 4096 + 4096 * 4096 + 4096 * 1000 + 4096 + 4096 + 1000
    assert round((net.weights + biases(net) + dense) / 1e6) == 61  # "60 million parameters"


@dataclass(frozen=True)
class Torchvision:
    """What torchvision 0.29 states of its weights: ``weights.meta["num_params"]`` and ``weights.meta["_ops"]``."""

    params: int
    billions: float
    """Multiply-adds, those of dense layers included."""
    dense: tuple[tuple[int, int], ...]
    normalised: int = 0
    """Channels with a scale and a shift, over all layers that normalise."""
    others: int = 0


def _torchvision() -> dict[str, Torchvision]:
    def after(name: str) -> int:
        return outputs(NETS[name])  # a normalisation follows each convolution

    def before(name: str, first: int, last: int) -> int:
        # DenseNet normalises what comes into each convolution but the first, and what leaves that and the last.
        return inputs(NETS[name]) - 3 + first + last

    # Inception v3's auxiliary head: 1x1 and 5x5 convolutions, each normalised, and a dense layer.
    head = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000
    # ConvNeXt-T normalises after the stem, in the 3, 3, 9 and 3 blocks, before the three layers that shrink, and at the
    # end; each block scales its result once more.
    blocks = 3 * 96 + 3 * 192 + 9 * 384 + 3 * 768
    return {
        "vgg16": Torchvision(138_357_544, 15.47, ((512 * 7 * 7, 4096), (4096, 4096), (4096, 1000))),
        "resnet18": Torchvision(11_689_512, 1.814, ((512, 1000),), after("resnet18")),
        "resnet50": Torchvision(25_557_032, 4.089, ((2048, 1000),), after("resnet50")),
        "squeezenet1_0": Torchvision(1_248_424, 0.819, ()),
        "densenet121": Torchvision(7_978_856, 2.834, ((1024, 1000),), before("densenet121", 64, 1024)),
        "densenet161": Torchvision(28_681_000, 7.728, ((2208, 1000),), before("densenet161", 96, 2208)),
        "inception_v3": Torchvision(27_161_264, 5.713, ((2048, 1000),), after("inception_v3"), head),
        "googlenet": Torchvision(6_624_904, 1.498, ((1024, 1000),), after("googlenet")),
        "shufflenet_v2_x1_0": Torchvision(2_278_604, 0.145, ((1024, 1000),), after("shufflenet_v2_x1_0")),
        "mobilenet_v2": Torchvision(3_504_872, 0.301, ((1280, 1000),), after("mobilenet_v2")),
        "resnext50": Torchvision(25_028_904, 4.23, ((2048, 1000),), after("resnext50")),
        "convnext_tiny": Torchvision(
            28_589_128, 4.456, ((768, 1000),), 96 + blocks + (96 + 192 + 384) + 768, others=blocks
        ),
    }


@pytest.mark.parametrize(("name", "told"), _torchvision().items())
def test_torchvision(name: str, told: Torchvision) -> None:
    net = NETS[name]
    dense = sum(a * b + b for a, b in told.dense)
    assert net.weights + biases(net) + 2 * told.normalised + dense + told.others == told.params
    assert round((net.multiply_adds + sum(a * b for a, b in told.dense)) / 1e9, 3) == told.billions


def test_papers_agree() -> None:
    # MobileNetV2, table 4: 300 M multiply-adds. ShuffleNetV2, table 8: 146 M. ResNet, table 1: 1.8 G for ResNet-18.
    # ConvNeXt, table 1: 4.5 G. Depths are in the names of the others, dense layers counted, and U-Net's in its paper.
    millions = {name: net.multiply_adds / 1e6 for name, net in NETS.items()}
    assert round(millions["mobilenet_v2"], -1) == 300
    assert abs(millions["shufflenet_v2_x1_0"] - 146) < 3
    assert round(millions["resnet18"], -2) == 1800
    assert round(millions["convnext_tiny"], -2) == 4500
    layers = {name: sum(layer.count for layer in net.convs) for name, net in NETS.items()}
    assert (layers["vgg16"] + 3, layers["densenet121"] + 1, layers["densenet161"] + 1) == (16, 121, 161)
    # Four shortcuts of ResNets-50, three of ResNet-18, have a convolution that the depth does not count.
    assert (layers["resnet18"] - 3 + 1, layers["resnet50"] - 4 + 1, layers["resnext50"] - 4 + 1) == (18, 50, 50)
    assert layers["unet"] == 23
    assert layers["c3d"] == 8
    assert layers["googlenet"] == 3 + 9 * 6


def test_resnet50_as_in_the_paper() -> None:
    # He et al., 2015, table 1: 3.8 G multiply-adds, with the stride of three blocks in conv1 instead of conv2. There
    # conv1 has a quarter of the positions.
    net = NETS["resnet50"]
    moved = sum(
        layer.multiply_adds * 3 // 4
        for layer in net.convs
        if layer.name.endswith("0.conv1") and not layer.name.startswith("layer1")
    )
    assert moved == 3 * 256 * 128 * 56**2 // 4 + 3 * 512 * 256 * 28**2 // 4 + 3 * 1024 * 512 * 14**2 // 4
    assert 3.8 <= (net.multiply_adds - moved + 2048 * 1000) / 1e9 < 3.9


def test_unet() -> None:
    # Ronneberger et al., 2015, figure 1: the size of each map is written above it. (in, out, kernel, side of the map).
    pairs = [
        *((1, 64, 3, 570), (64, 64, 3, 568), (64, 128, 3, 282), (128, 128, 3, 280), (128, 256, 3, 138)),
        *((256, 256, 3, 136), (256, 512, 3, 66), (512, 512, 3, 64), (512, 1024, 3, 30), (1024, 1024, 3, 28)),
        *((1024, 512, 3, 54), (512, 512, 3, 52), (512, 256, 3, 102), (256, 256, 3, 100), (256, 128, 3, 198)),
        *((128, 128, 3, 196), (128, 64, 3, 390), (64, 64, 3, 388), (64, 2, 1, 388)),
    ]
    # Of a 2x2 up-convolution each position of the input takes part once with each weight.
    ups = [(1024, 512, 28), (512, 256, 52), (256, 128, 100), (128, 64, 196)]
    net = NETS["unet"]
    found = Counter()
    for layer in net.convs:
        if not layer.transposed:
            found[layer.channels, layer.filters, layer.kernel_size[0], layer.output_size[0]] += layer.count
    assert found == Counter(pairs)
    assert [(one.channels, one.filters, one.size[0]) for one in net.convs if one.transposed] == ups
    assert [one.output_size[0] for one in net.convs if one.transposed] == [56, 104, 200, 392]
    assert net.multiply_adds == sum(a * b * k * k * n * n for a, b, k, n in pairs) + sum(
        a * b * 4 * n * n for a, b, n in ups
    )
    # Implementations of the figure (such as those of Keras that print 388x388x2 at the end) count 31,030,658.
    assert net.weights + biases(net) == 31_030_658


def test_wavenet() -> None:
    # Nobody publishes a sum. wavenet_params.json of github.com/ibab/tensorflow-wavenet: filter_width 2,
    # quantization_channels 256, residual_channels 32, dilation_channels 32, skip_channels 512, dilations 1 to 512 five
    # times. One second at its sample_rate, which causal layers keep.
    net = NETS["wavenet"]
    assert net.weights == 2 * 256 * 32 + 50 * (2 * 2 * 32 * 32 + 32 * 32 + 32 * 512) + 512 * 512 + 512 * 256
    assert net.multiply_adds == 16_000 * net.weights
    dilated = Counter({layer.dilation: layer.count for layer in net.convs if layer.name.endswith(".filter")})
    assert dilated == Counter({2**i: 2 * 5 for i in range(10)})  # a filter and a gate in each layer
    assert {layer.output_size for layer in net.convs} == {(16_000,)}
    # The receptive field of five stacks and the layer before them, a tap each further.
    reach = sum((layer.reach[0] - 1) * layer.count // 2 for layer in net.convs if layer.name.endswith(".filter"))
    assert reach == 5 * 1023


def test_c3d() -> None:
    # mmaction2, configs/recognition/c3d/README.md: 78.4 M parameters and 38.5 G multiply-adds with 101 classes.
    net = NETS["c3d"]
    dense = ((512 * 1 * 4 * 4, 4096), (4096, 4096), (4096, 101))
    params = net.weights + biases(net) + sum(a * b + b for a, b in dense)
    assert round(params / 1e6, 1) == 78.4
    assert round((net.multiply_adds + sum(a * b for a, b in dense)) / 1e9, 1) == 38.5
    assert [layer.output_size for layer in net.layers if isinstance(layer, Pool)] == [
        (16, 56, 56),
        (8, 28, 28),
        (4, 14, 14),
        (2, 7, 7),
        (1, 4, 4),
    ]


def test_images() -> None:
    layers = NETS["images"].layers
    shapes = {(layer.channels, layer.size, layer.kernel_size) for layer in layers}
    squares = {
        (channels, (size, size), (kernel, kernel))
        for channels in (1, 3)
        for size in (512, 1024, 2048, 4096)
        for kernel in (3, 7, 15, 31)
    }
    signals = {(1, (1_000_000,), (taps,)) for taps in (9, 65, 1025)}
    assert squares | signals <= shapes
    volumes = shapes - squares - signals
    assert {size for _, size, _ in volumes} == {(256, 256, 256)}
    for layer in layers:
        assert isinstance(layer, Conv)
        assert layer.output_size == layer.size
        assert layer.groups == layer.filters == layer.channels  # each colour by itself
    assert NETS["images"].weights == 4 * 4 * (9 + 49 + 225 + 961) + 9 + 65 + 1025 + 27 + 125


# ---- every net


@pytest.mark.parametrize("name", NETS)
def test_layers_are_distinct(name: str) -> None:
    layers = NETS[name].layers
    assert len({layer.name for layer in layers}) == len(layers)
    assert len({replace(layer, name="", count=1) for layer in layers}) == len(layers)
    assert all(layer.count >= 1 for layer in layers)


@pytest.mark.parametrize("name", NETS)
def test_nets_say_what_they_are(name: str) -> None:
    net = NETS[name]
    assert net.title
    assert net.source
    assert net.layers
    assert max(map(len, net.title.splitlines())) < 120


@pytest.mark.parametrize("layer", LAYERS)
def test_geometry_is_that_of_the_ops(layer: Layer) -> None:
    if isinstance(layer, Norm):
        assert layer.neighbours <= layer.channels
        return
    options = (
        {"transposed": layer.transposed, "output_padding": layer.output_padding}
        if isinstance(layer, Conv)
        else {"ceil_mode": layer.ceil_mode}
    )
    window = (layer.size, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    assert arithmetic.output_size(*window, **options) == layer.output_size
    if isinstance(layer, Pool):
        # What the ops ask of a pooling's padding; of a mean's dilation there is none.
        assert all(max(pads) < reach for pads, reach in zip(layer.pads, layer.reach, strict=True))
        assert layer.kind == "max" or set(layer.dilations) == {1}
    else:
        assert layer.channels % layer.groups == layer.filters % layer.groups == 0
        image = layer.size if layer.transposed else layer.output_size
        assert layer.multiply_adds == layer.weights * math.prod(image)
    assert describe(layer).startswith("x".join(map(str, (layer.channels, *layer.size))))


def test_order_is_that_of_the_command_line() -> None:
    assert list(NETS)[:3] == ["lenet5", "alexnet", "vgg16"]
    assert list(NETS)[-1] == "images"
    assert set(check.DEFAULT_NETS) <= set(NETS)


# ---- how tables are written


def test_a_walk_follows_sizes_and_channels() -> None:
    x = Walk(3, (32, 30))
    y = x.conv("a", 8, 3, stride=2, padding=1)
    assert (y.channels, y.size) == (8, (16, 15))
    assert y.pool("b", "max", 2, 2).size == (8, 7)
    assert y.pool("b", "max", 2, 2, ceil_mode=True).size == (8, 8)
    assert y.global_pool("c").size == (1, 1)
    assert y.cat(y, y).channels == 24
    assert y.take(3).channels == 3
    assert y.crop((4, 4)).size == (4, 4)
    assert y.add(y.conv("d", 8, 1)).channels == 8
    assert y.conv("e", 4, 2, stride=2, transposed=True).size == (32, 30)
    assert [layer.name for layer in x.layers] == ["a", "b", "b", "c", "d", "e"]  # branches share their list


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.cat(x.pool("p", "max", 2, 2)),
        lambda x: x.add(x.take(2)),
        lambda x: x.add(x.crop((3, 3))),
        lambda x: x.crop((9, 1)),
    ],
)
def test_branches_that_do_not_fit_are_errors(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"branches of|a sum of|cut from"):
        wrong(Walk(4, (8, 8)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv("a", 4, (8, 8), 4, (3, 3), groups=3), "3 groups of 4 channels"),
        (lambda: Conv("a", 0, (8, 8), 4, (3, 3)), "groups of 0 channels"),
        (lambda: Conv("a", 4, (8, 8), 4, (3,)), "2 spatial axes"),
        (lambda: Conv("a", 4, (8, 8), 4, (3, 3), stride=(1, 1, 1)), "2 spatial axes"),
        (lambda: Conv("a", 4, (8, 8), 4, (3, 3), stride=0), "must be >= 1"),
        (lambda: Conv("a", 4, (8, 8), 4, (9, 3)), "does not fit"),
        (lambda: Conv("a", 4, (8, 8), 4, (3, 3), padding=((1, -1), (0, 0))), "padding must be >= 0"),
        (lambda: Conv("a", 4, (8,), 4, (3,), output_padding=(1, 1), transposed=True), "1 spatial axes"),
        (lambda: Conv("a", 4, (1, 1), 4, (2, 2), padding=1, transposed=True), "does not fit"),
        (lambda: Pool("a", "max", 4, (8, 8), (9, 9), stride=1), "does not fit"),
        (lambda: Pool("a", "max", 4, (1, 8), (2, 2), stride=2, ceil_mode=True), "does not fit"),
        (lambda: Pool("a", "global", 4, (8, 8), (4, 4), stride=1), "whole input"),
    ],
)
def test_impossible_layers_are_errors(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_merged_counts_equal_layers_under_the_first_name() -> None:
    a = Conv("a", 4, (8, 8), 4, (3, 3))
    layers = merged([a, replace(a, name="b", bias=False), replace(a, name="c"), replace(a, name="d", count=3)])
    assert layers == (replace(a, count=5), replace(a, name="b", bias=False))


# ---- what is run of layers


SMALL = [
    Conv("plain", 3, (9, 8), 4, (3, 3), padding=1),
    Conv("no bias", 3, (9, 8), 4, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), bias=False),
    Conv("dilated groups", 4, (11, 12), 6, (3, 3), dilation=(2, 3), stride=2, padding=2, groups=2),
    Conv("causal", 3, (40,), 5, (2,), dilation=8, padding=((8, 0),)),
    Conv("volume", 2, (5, 6, 7), 3, (2, 3, 1), padding=(0, 1, 0)),
    Conv("up", 6, (5, 4), 4, (2, 2), stride=2, transposed=True),
    Conv(
        "up, groups", 6, (5, 4), 4, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, transposed=True
    ),
    Conv("up, uneven", 3, (7,), 4, (5,), stride=2, padding=((2, 1),), dilation=2, bias=False, transposed=True),
    Pool("max", "max", 3, (9, 8), (3, 3), stride=2, padding=1),
    Pool("max, ceil", "max", 3, (9, 8), (3, 3), stride=2, ceil_mode=True),
    Pool("max, dilated", "max", 3, (19,), (3,), stride=2, dilation=3, padding=2),
    Pool("avg", "avg", 3, (9, 8), (3, 2), stride=(2, 1), padding=((1, 0), (0, 1))),
    Pool("avg, ceil", "avg", 3, (9, 8, 6), (3, 3, 2), stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    Pool("global", "global", 5, (7, 6), (7, 6), stride=1),
    Norm("norm", 6, (5, 4), 5, 1e-2, 0.75, 2.0),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
def test_every_pass_is_checked(layer: Layer, dtype: str) -> None:
    runs = list(passes(layer, np.dtype(dtype), batch=2))
    names = ["forward", "grad_input", "grad_weight"] if isinstance(layer, Conv) else ["forward", "backward"]
    assert [run.name for run in runs] == names
    for run in runs:
        assert check.check(run).failure == ""
        assert run.operations > 0
        wrong = replace(run, call=lambda ops, *arrays, run=run: _bent(ops, run.call(ops, *arrays)))
        assert check.check(wrong).failure


def _bent(ops: object, got: object) -> object:
    """A result with one wrong element, unless it is the reference's."""
    if ops is not check.fastconv:
        return got
    first = (got[0] if isinstance(got, tuple) else got).copy()
    first.flat[first.size // 2] += 1
    return (first, *got[1:]) if isinstance(got, tuple) else first


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (SMALL[0], "3x9x8 -> 4x9x8, 3x3 p1"),
        (SMALL[1], "3x9x8 -> 4x4x9, 3x2/2x1 p(1+0)x(0+2)"),
        (SMALL[2], "4x11x12 -> 6x6x5, 3x3/2 p2 d2x3 g2"),
        (SMALL[3], "3x40 -> 5x40, 2 p(8+0) d8"),
        (SMALL[5], "6x5x4 -> 4x10x8, 2x2/2 transposed"),
        (SMALL[-1], "6x5x4, over 5 channels"),
    ],
)
def test_describe(layer: Layer, text: str) -> None:
    assert describe(layer) == text


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "windows"),
    [(3, 1, 1, 3), (3, 2, 1, 2), (3, 3, 1, 1), (2, 3, 1, 1), (3, 2, 2, 3), (4, 4, 2, 2), (5, 2, 3, 3)],
)
def test_covering_counts_windows(kernel: int, stride: int, dilation: int, windows: int) -> None:
    size = 60
    lies_in = Counter(
        start + tap * dilation for start in range(0, size - dilation * (kernel - 1), stride) for tap in range(kernel)
    )
    assert max(lies_in.values()) == windows == covering((kernel,), (stride,), (dilation,))


def test_bounds_of_long_sums_stay_bounds() -> None:
    one = np.ones(1)
    bounds = [float(check.error_bound(n, one, np.float32)[0]) for n in (1, 1000, 10**6, 2**24, 2**24 + 1, 10**9)]
    assert all(0 < bound < 1.1 for bound in bounds)


# ---- scratch memory


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("pass_name", ["forward", "grad_input", "grad_weight"])
def test_scratch_is_bounded(net: Net, pass_name: str) -> None:
    """By 4.2 times the weights, which Winograd transforms, 4 MiB a thread, and twice input and output."""
    for layer in net.convs:
        x, y = math.prod(layer.size) * layer.channels, math.prod(layer.output_size) * layer.filters
        weight = (layer.filters, layer.channels // layer.groups, *layer.kernel_size)
        window = (layer.stride, layer.padding, layer.dilation, layer.groups)
        for threads in (1, 8):
            for last in (False, True):
                shape = (1, *layer.size, layer.channels) if last else (1, layer.channels, *layer.size)
                layout = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[layer.rank] if last else None
                with fastconv.num_threads(threads):
                    choice = fastconv.choose_algorithm(shape, weight, *window, layout=layout, pass_name=pass_name)
                bound = 4 * (4.2 * math.prod(weight) + threads * 2**20 + 2 * (x + y))
                assert choice.scratch_bytes <= bound, f"{layer.name}, {threads} threads, {layout}: {choice.algorithm}"
