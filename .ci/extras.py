"""Print what extras of pyproject.toml ask for: for where the package itself is built already.

python .ci/extras.py NAME...
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
print(*(need for name in sys.argv[1:] for need in project["optional-dependencies"][name]))
