"""Builds a package that links to the library of an installed fastconv."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

import fastconv

operations = Extension(
    "fastconv_user.operations",
    ["fastconv_user/operations.pyx"],
    include_dirs=[fastconv.get_include()],
    library_dirs=[os.path.dirname(fastconv.get_library())],
    libraries=["fastconv"],
)

setup(name="fastconv-user", version="1", packages=["fastconv_user"], ext_modules=cythonize([operations]))
