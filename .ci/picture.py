"""Draws README's picture: the last figure of examples/plot_filters.py, in 48 greys; colours are three times the bytes.

python .ci/picture.py
"""

from __future__ import annotations

import io
import os
import runpy
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"  # its windows stay open, unseen

from matplotlib import pyplot as plt
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

runpy.run_path(str(ROOT / "examples/plot_filters.py"))
drawn = io.BytesIO()
plt.gcf().savefig(drawn, dpi=80)
Image.open(drawn).convert("L").quantize(48).save(ROOT / "docs/edges.png", optimize=True)
