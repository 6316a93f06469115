# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
# cython: freethreading_compatible=True
"""The one door to C: plain ndarrays, ints and tuples parsed into C structs, outputs allocated, the GIL released.

Whatever is not a plain array of a native dtype takes the side door `_coerce` and comes back plain; whatever is wrong is
told by `_errors`. Functions take their arguments by position, `rank` first: 1, 2 or 3 for the suffixed ops, which also
take one unbatched item, 0 for the rank-generic ones, which want a batch.
"""

import math
import os
import threading
import time
from contextvars import ContextVar

import numpy as np

from . import _coerce, _errors, _verbose

cimport numpy as cnp
from cpython.contextvars cimport get_value
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.unicode cimport PyUnicode_FromObject
from libc.stdint cimport int64_t

cnp.import_array()

cdef enum:
    RANK = 3  # spatial axes of every C problem; lower ranks use the last ones

# What applies to the calls of this thread or task: (threads or 0, index of an instruction set or -1, algorithm, whether
# subnormal numbers are taken for zeros).
options = ContextVar("fastconv_options", default=None)

cdef object np_ndarray = np.ndarray
cdef dict ALGORITHMS = {
    "auto": FC_AUTO, "exact": FC_EXACT, "direct": FC_DIRECT, "im2col": FC_IM2COL, "winograd": FC_WINOGRAD,
    "depthwise": FC_DEPTHWISE,
}
cdef tuple CHANNELS_FIRST = ("", "NCW", "NCHW", "NCDHW")
cdef tuple CHANNELS_LAST = ("", "NWC", "NHWC", "NDHWC")


cdef bint VERBOSE = _verbose.asked()


include "_core_arguments.pxi"
include "_core_verbose.pxi"
include "_core_conv.pxi"
include "_core_transpose.pxi"
include "_core_pool.pxi"
include "_core_adaptive.pxi"
include "_core_channels.pxi"
include "_core_patches.pxi"
include "_core_plan.pxi"


# ---- the machine ----

cdef extern from "fastconv_private.h" nogil:
    const char *fc_cpu_features()
    void fc_set_default_threads(int threads)
    int64_t fc_fma_rounds(int isa, fc_dtype dtype, int64_t rounds)
    fc_status fc_copy_rounds(int isa, void *dst, const void *src, int64_t bytes, int64_t rounds)

    ctypedef struct fc_kernel_load:
        const char *name
        int rows
        int vectors
        double flops
        double bytes

    int fc_kernel_loads(int isa, fc_dtype dtype)
    fc_status fc_kernel_rounds(int isa, fc_dtype dtype, int index, int64_t rounds, fc_kernel_load *load)


def abi_versions():
    """(that of the header this module was compiled with, that of the library it runs with)"""
    return FC_ABI_VERSION, fc_abi_version()


def isa_compiled():
    """Names of all instruction sets in the library, lowest first."""
    return tuple([fc_isa_name(isa).decode() for isa in range(fc_isa_count())])


def isa_names():
    """Names of the instruction sets usable on this machine, lowest first."""
    return tuple([fc_isa_name(isa).decode() for isa in range(fc_isa_count()) if fc_isa_usable(isa)])


def isa_index(name):
    return isa_compiled().index(name)


def get_isa():
    return fc_isa_name(fc_isa_current()).decode()


def set_isa(name):
    fc_isa_select(isa_index(name))


def isa_lanes(name, dtype):
    """Elements of a vector: of float32 for dtype "float32", else of float64."""
    return fc_isa_lanes(isa_index(name), FC_FLOAT32 if dtype == "float32" else FC_FLOAT64)


def cpu_features():
    return tuple(fc_cpu_features().decode().split())


def has_openmp():
    return bool(fc_has_openmp())


def get_num_threads():
    return fc_get_num_threads()


def set_num_threads(int threads):
    fc_set_num_threads(threads)


def set_default_threads(int threads):
    fc_set_default_threads(threads)


def clear_scratch():
    fc_clear_scratch()


def fma_rounds(name, dtype, int64_t rounds):
    """Runs multiply-adds in registers and returns their number; the caller times it."""
    cdef int isa = isa_index(name)
    cdef fc_dtype number = FC_FLOAT32 if dtype == "float32" else FC_FLOAT64
    cdef int64_t done
    with nogil:
        done = fc_fma_rounds(isa, number, rounds)
    return done


def copy_bytes(name, cnp.ndarray source, cnp.ndarray target, int64_t rounds=1):
    """Copies one contiguous array over another of its size, `rounds` times; the caller times it."""
    cdef int isa = isa_index(name)
    if not (cnp.PyArray_IS_C_CONTIGUOUS(source) and cnp.PyArray_IS_C_CONTIGUOUS(target)) or (
        cnp.PyArray_NBYTES(source) != cnp.PyArray_NBYTES(target) or not cnp.PyArray_ISWRITEABLE(target)
    ):
        raise ValueError("copy_bytes needs two contiguous arrays of the same size")
    cdef void *dst = cnp.PyArray_DATA(target)
    cdef void *src = cnp.PyArray_DATA(source)
    cdef int64_t bytes = cnp.PyArray_NBYTES(source)
    with nogil:
        fc_copy_rounds(isa, dst, src, bytes, rounds)


def kernel_loads(name, dtype):
    """How many kernels of an instruction set `kernel_rounds` can run."""
    return fc_kernel_loads(isa_index(name), FC_FLOAT32 if dtype == "float32" else FC_FLOAT64)


def kernel_rounds(name, dtype, int index, int64_t rounds):
    """Runs one kernel on operands in L1; (its name, floating point operations, bytes) of one round."""
    cdef int isa = isa_index(name)
    cdef fc_dtype number = FC_FLOAT32 if dtype == "float32" else FC_FLOAT64
    cdef fc_kernel_load load
    cdef fc_status status
    with nogil:
        status = fc_kernel_rounds(isa, number, index, rounds, &load)
    if status != FC_OK:
        raise ValueError(fc_status_string(status).decode())
    label = load.name.decode() + (f" {load.rows}x{load.vectors}" if load.rows else "")
    return label, load.flops, load.bytes
