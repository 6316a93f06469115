"""The Python of README.md runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def test_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
        printed = re.findall(r"^print\(.*\) +# (.*)$", block, re.MULTILINE)
        assert capsys.readouterr().out.splitlines() == printed
    assert names["pooled"].shape == (8, 16, 16, 16)
    assert names["grad_filters"].shape == names["filters"].shape
