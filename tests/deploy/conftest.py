"""What deploy/ holds, checked without servers: by the tools that know the formats, else by hand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
