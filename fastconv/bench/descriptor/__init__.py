"""Problems written by hand: descriptors of oneDNN's benchdnn, numbers, files of them, logs of FASTCONV_VERBOSE=1."""

from .files import Line, parse_file
from .flags import by_hand
from .notation import Described, format, parse

__all__ = ["Described", "Line", "by_hand", "format", "parse", "parse_file"]
