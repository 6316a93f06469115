"""The arithmetic of convolutional layers: sizes, parameters, operations, receptive fields, and a summary of a stack.

Nothing here computes a convolution, and nothing needs an array: shapes go in, numbers come out. Sizes follow the rules
that the ops themselves follow.

>>> from fastconv.arithmetic import Conv, Dense, Pool, output_size, summary
>>> output_size(227, 11, stride=4)
55
>>> print(summary([Conv(4, 3), Pool(2), Dense(10)], (1, 12, 12)))
layer     input   output   K  F  S  P  weights  biases  multiply-adds  if local  if dense  field  % weights  % m-adds
---------------------------------------------------------------------------------------------------------------------
conv1   1x12x12  4x10x10   4  3  1  0       36       4          3,600     3,600    57,600      3        3.5      78.3
pool1   4x10x10    4x5x5      2  2  0        0       0              0         0         0      4        0.0       0.0
dense1    4x5x5       10  10             1,000      10          1,000     1,000     1,000     12       96.5      21.7
---------------------------------------------------------------------------------------------------------------------
total                                    1,036      14          4,600     4,600    58,600             100.0     100.0
"""

from .counts import flop_count, parameter_count
from .fields import ReceptiveField, receptive_field
from .layers import Conv, Dense, Layer, Pool
from .sizes import output_size, same_padding
from .summaries import LayerSummary, Summary, summary

__all__ = [
    "Conv",
    "Dense",
    "Layer",
    "LayerSummary",
    "Pool",
    "ReceptiveField",
    "Summary",
    "flop_count",
    "output_size",
    "parameter_count",
    "receptive_field",
    "same_padding",
    "summary",
]
