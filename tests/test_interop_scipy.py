"""SciPy's own tests of its filters and convolutions, with `fastconv.ndimage` and `fastconv.signal` in their place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import scipy

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "images.md").read_text().replace("\n", " ")
PLUGIN = """
import functools

import pytest
import scipy.MODULE
from scipy._lib._array_api import xp_capabilities_table

import fastconv.MODULE

called = set()

def in_place(theirs, ours):
    @functools.wraps(theirs)
    def function(*args, **kwargs):
        called.add(theirs.__name__)
        try:
            return ours(*args, **kwargs)
        except TypeError as error:  # what hundreds of tests ask for beside results, which would not be seen
            if "needs a complex dtype" in str(error):
                raise RuntimeError("as SciPy has it: " + str(error)) from None
            raise

    if theirs in xp_capabilities_table:  # what SciPy's tests ask before they run a function
        xp_capabilities_table[function] = xp_capabilities_table[theirs]
    return function

for name in fastconv.MODULE.__all__:
    setattr(scipy.MODULE, name, in_place(getattr(scipy.MODULE, name), getattr(fastconv.MODULE, name)))

@pytest.fixture(autouse=True)
def _noted(record_property):
    called.clear()
    yield
    if called:
        record_property("ours", "called")
"""


class Excluded(NamedTuple):
    """Tests that fail, why, and what the failure says."""

    tests: str
    reason: str
    message: str = ""


WORDS = "the error is ours, in other words or of another type"
BITS = "sums of float32 are float32, and those of float64 have another order"
MORE = "an error is expected of what fastconv does"
FILTERS = [
    Excluded(r"test_(filter_axes|filter_axes_kwargs|derivative_filter_axes)", WORDS, "needs each axis once"),
    Excluded(r"test_filter_invalid_axes", WORDS, r"axes is \(.*needs (axes of an array of 3|ints)"),
    Excluded(r"test_filter_invalid_footprint_ndim", WORDS, r"(weights|footprint) has shape .*needs \d axes"),
    Excluded(r"test_filter_tuple_length_mismatch", WORDS, "needs one value, or 2, one an axis"),
    Excluded(r"test_gaussian_radius_invalid", WORDS, r"TypeError: gaussian_filter1d: radius is 1\.1; needs ints"),
    Excluded(r"test_gaussian_laplace0[12]\[numpy-(float32|complex64)\]", BITS, "atol=1.5e-06"),
    Excluded(r"test_gauss03", BITS, "atol=1.5"),
    Excluded(r"test_multiple_modes_sequentially", BITS, "Mismatched elements: 3 / 9"),
    Excluded(r"test_(correlate_mode_sequence|minimum_filter07|maximum_filter07)", MORE, "DID NOT RAISE"),
    Excluded(r"test_gaussian_filter_float16", MORE, "DID NOT RAISE"),
    Excluded(
        r"test_(prewitt|sobel)0[123]\[numpy-uint64\]",
        "differences wrap around, so that float64 cannot hold their sums; one pass over both axes is exact",
        "Mismatched elements",
    ),
    Excluded(r"test_uniform02", "a window of size 0 is refused", r"size is \[0\]; needs ints >= 1"),
]
CONVOLUTIONS = [
    Excluded(r"test_fillvalue_(errors|empty)", WORDS, "TypeError: convolve2d: fillvalue is .*; needs a (real )?number"),
    Excluded(r"test_convolve_longdtype_input", "no longdouble", "TypeError: convolve: in1 has dtype"),
    Excluded(r"test_fft_nan", "no FFT of NaN, so no warning of it", "DID NOT WARN"),
]


class Suite(NamedTuple):
    """Tests of SciPy's, by file; ours, by name; what the page says of them; and which fail."""

    file: str
    module: str
    told: str
    excluded: list[Excluded]
    chosen: tuple[str, ...] = ()


NUMBERS = r"(\d+) of its (\d+) tests {} call them, (\d+) pass, and (\d+) fail"
SUITES = [
    Suite("ndimage/tests/test_filters.py", "ndimage", NUMBERS.format("of filters"), FILTERS),
    Suite(
        "signal/tests/test_signaltools.py",
        "signal",
        NUMBERS.format("of convolutions"),
        CONVOLUTIONS,
        ("-k", "TestConvolve or Correlate or longdtype or fft_nan"),
    ),
]


def reason_of(excluded: list[Excluded], name: str, message: str) -> str | None:
    for tests, reason, told in excluded:
        if re.fullmatch(rf"{tests}(\[.*\])?", name) and re.search(told, " ".join(message.split())):
            return reason
    return None


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.module)
def test_scipys_own_tests(tmp_path: Path, suite: Suite) -> None:
    file = Path(scipy.__file__).parent / suite.file
    if not file.exists():
        pytest.skip("SciPy is installed without its tests: they are not run")
    if int(scipy.__version__.split(".")[1]) < 17 and scipy.__version__.startswith("1."):
        pytest.skip("SciPy is older than 1.17: its tests are not run")
    (tmp_path / "ours_in_scipy.py").write_text(PLUGIN.replace("MODULE", suite.module))
    report = tmp_path / "report.xml"
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "FASTCONV_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)]
    subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "ours_in_scipy", f"--junitxml={report}", *suite.chosen, str(file)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    ours = [case for case in cases if case.find("properties") is not None]
    outcomes = Counter(next((child.tag for child in case if child.tag != "properties"), "passed") for case in ours)
    failures = {
        case.attrib["name"]: failure.attrib["message"]
        for case in cases
        if (failure := case.find("failure")) is not None
    }
    reasons = {name: reason_of(suite.excluded, name, message) for name, message in failures.items()}
    assert [f"{name}: {failures[name]}" for name, reason in reasons.items() if reason is None] == []
    assert not outcomes["error"]
    assert outcomes["failure"] == len(failures)
    told = re.search(suite.told, PAGE)
    assert told is not None
    calling, of, passing, failing = map(int, told.groups())
    if f"(SciPy {scipy.__version__})" in PAGE:
        assert (len(ours), len(cases), outcomes["passed"], len(failures)) == (calling, of, passing, failing)
    else:  # of another version
        assert outcomes["passed"] >= passing
