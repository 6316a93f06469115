"""Builds fastconv/lib/libfastconv, the C kernels once for every instruction set, and the Cython module linked to it.

setuptools knows no flags for single sources, so BuildExt compiles the library itself, each group of sources with its
own flags into its own folder of build_temp. Metadata stands in pyproject.toml. Environment: CC and CFLAGS as usual;
FASTCONV_WERROR=1 makes warnings errors; FASTCONV_OPENMP=0 builds without threads; FASTCONV_DEBUG=1 keeps symbols;
FASTCONV_EMULATE=1 compiles every set without its instructions, so that tests run its widths and tiles on any CPU.

On Windows, where nobody has run this yet, clang-cl compiles, with Microsoft's headers, and Microsoft's linker links.
"""

import copy
import os
import shutil
import struct
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from typing import NamedTuple

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

X86_64 = ("x86_64", "amd64")
AARCH64 = ("aarch64", "arm64")


class InstructionSet(NamedTuple):
    """A row: csrc/isa/<name>.c is compiled with `flags` where a compiler for one of `machines` accepts `probe`."""

    name: str
    machines: tuple[str, ...]
    flags: list[str]
    probe: str


# Lowest first. "baseline" needs no row: it has no flags, is compiled everywhere and must not fail.
INSTRUCTION_SETS = [
    InstructionSet(
        "avx2",
        X86_64,
        ["-mavx2", "-mfma"],
        "#include <immintrin.h>\n"
        "__m256d probe_fma(__m256d a) { return _mm256_fmadd_pd(a, a, a); }\n"
        "__m256i probe_add(__m256i a) { return _mm256_add_epi64(a, a); }\n",
    ),
    InstructionSet(
        "avx512",
        X86_64,
        ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
        "#include <immintrin.h>\n"
        "__m512 probe_f(__m512 a) { return _mm512_fmadd_ps(a, a, a); }\n"
        "__m512 probe_dq(__m512 a) { return _mm512_and_ps(a, a); }\n"
        "__m512i probe_bw(__m512i a) { return _mm512_add_epi16(a, a); }\n"
        "__m256d probe_vl(__mmask8 k, __m256d a) { return _mm256_maskz_mov_pd(k, a); }\n",
    ),
    InstructionSet(
        "neon",
        AARCH64,
        [],
        "#include <arm_neon.h>\nfloat64x2_t probe_fma(float64x2_t a) { return vfmaq_f64(a, a, a); }\n",
    ),
]

OPENMP_FLAG = "-fopenmp"
OPENMP_PROBE = """
#include <omp.h>
int probe(void) {
    int threads = 0;
#pragma omp parallel reduction(+ : threads)
    threads += omp_get_num_threads() > 0;
    return threads;
}
"""

INSTALL = (
    "Install gcc >= 11 or clang >= 14 (Debian: apt install gcc; Fedora: dnf install gcc; Alpine: apk add gcc musl-dev; "
    "macOS: xcode-select --install; Windows: winget install LLVM.LLVM, for clang-cl), or name it in CC. Or take a "
    "wheel, which needs no compiler: pip install --only-binary fastconv fastconv"
)
MACHINE = sysconfig.get_platform().rsplit("-", 1)[-1]
PREDEFINED = dict.fromkeys(X86_64, "__x86_64__") | dict.fromkeys(AARCH64, "__aarch64__")
OLDEST_PROBE = """
#if !defined(__apple_build_version__) && (defined(__clang__) ? __clang_major__ < 14 : __GNUC__ < 11)
#error an old compiler
#endif
int probe;
"""
# What the sources cannot do without: a name, a probe, what is wrong with a compiler that rejects it, and what helps.
REQUIREMENTS = [
    ("compiler", "int probe;\n", "does not run, or does not compile C", INSTALL),
    (
        "machine",
        f"#if !{PREDEFINED.get(MACHINE, 1)}\n#error another machine\n#endif\n"
        f'_Static_assert(sizeof(void *) == {struct.calcsize("P")}, "another machine");\n',
        f"makes code for another machine than this Python's, {MACHINE}",
        "Remove flags like -m32 from CFLAGS, or name another compiler in CC",
    ),
    (
        "language",
        "#include <stdatomic.h>\n"
        "typedef float vector __attribute__((vector_size(16)));\n"
        "typedef int mask __attribute__((vector_size(16)));\n"
        "vector probe(vector a, vector b, atomic_int *count) {\n"
        "    atomic_fetch_add(count, 1);\n"
        "    return a * b - __builtin_convertvector((mask)(a < b), vector);\n"
        "}\n",
        "lacks C11 or vector extensions, as old compilers do, and others with flags like -mno-sse",
        INSTALL,
    ),
    (
        "libc",
        "#include <stdlib.h>\n",
        "does not find the headers of the C library",
        "Install them (Debian: apt install libc6-dev; Alpine: apk add musl-dev)",
    ),
    (
        "linker",
        "int probe(void) { return 0; }\n",
        "does not link",
        "Remove flags like -m32 from LDFLAGS, or install a linker (Debian: apt install binutils)",
    ),
    (
        "headers",
        "#include <Python.h>\n",
        "does not find Python.h",
        "Install the headers of this Python (Debian: apt install python3-dev; Fedora: dnf install python3-devel)",
    ),
]
WINDOWS = (
    "fastconv needs the vector extensions of GCC and Clang, which MSVC lacks: on Windows LLVM's clang-cl compiles it, "
    "with the headers and the linker of Microsoft's C++ Build Tools. Install both (LLVM by winget install LLVM.LLVM, "
    "or as Visual Studio's component 'C++ Clang tools for Windows'), or name clang-cl in CC. Under WSL it builds as on "
    "Linux"
)
WINDOWS_OPENMP = "FASTCONV_OPENMP=1 takes LLVM's, but a process that loads it and Intel's, as PyTorch's is, ends"


def asked(name: str, default: str = "0") -> bool:
    """Whether the environment variable `name` is set to anything but 0."""
    return os.environ.get(name, default) not in ("", "0")


ELF = sys.platform != "darwin"
DEBUG = asked("FASTCONV_DEBUG")
EMULATE = asked("FASTCONV_EMULATE")

# Multiply and add contract to an FMA only where the kernels say so: the same bits from every compiler. For the same
# reason gnu11: strict c11 would compute float in wider types on targets that have them.
C_FLAGS = ["-std=gnu11", *(["-Og", "-g"] if DEBUG else ["-O3", "-g0"]), "-fno-wrapv", "-fvisibility=hidden"]
C_FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra"]
C_FLAGS += ["-Werror"] if asked("FASTCONV_WERROR") else []

# Cython's C is warned about too, except for what its generator always leaves behind.
CYTHON_FLAGS = [*C_FLAGS, "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
CYTHON_FLAGS += ["-Wno-cast-function-type", "-Wno-sign-compare", "-Wno-unreachable-code"]

# Guards what is not a kernel against overruns of arrays on its stack; a third of the kernels would pay for it with each
# call. The sanitizers of debugging builds see more without a checked memcpy.
GUARD_FLAGS = ["-fstack-protector-strong"] + ([] if DEBUG else ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"])

LINK_FLAGS = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"] if ELF else []
# The names of static functions stay: profilers tell kernels by them.
LINK_FLAGS += ["-Wl,--strip-debug"] if ELF and not DEBUG else []

# Flags of Python's own build, and of CFLAGS, that would change which CPUs the code runs on, or its sums, or inline
# across sets.
UNWANTED = ("-march=", "-mcpu=", "-mtune=", "-mavx", "-mfma", "-ffast-math", "-Ofast", "-flto")
# Nor is it our business where Python's own libraries lie: that path would be in every wheel.
UNWANTED += tuple(word for word in str(sysconfig.get_config_var("LDSHARED")).split() if word.startswith("-Wl,-rpath"))

LIBRARY = "libfastconv.so" if ELF else "libfastconv.dylib"
LIBRARY_NAME = f"-Wl,-soname,{LIBRARY}" if ELF else f"-Wl,-install_name,@rpath/{LIBRARY}"
# The library beside the module is taken before any of LD_LIBRARY_PATH: that is what the older kind of tag says.
FIND_LIBRARY = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib" if ELF else "-Wl,-rpath,@loader_path/lib"

IMPORT_LIBRARY = "fastconv.lib"  # what is linked to on Windows, where the library is fastconv.dll

DEPENDS = ["setup.py", *sorted(glob("csrc/**/*.h", recursive=True) + glob("csrc/**/*.inc", recursive=True))]


class BuildExt(build_ext):
    """build_ext that first builds the library its extension links to."""

    def initialize_options(self):
        super().initialize_options()
        self.windows = sys.platform == "win32"
        self.libomp = None  # the DLL of OpenMP, which on Windows comes along

    def build_extensions(self):
        self.windows = self.compiler.compiler_type == "msvc"
        if self.windows:
            self.take_clang_cl()
        elif sys.platform == "win32":  # MinGW
            raise CompileError(f"{WINDOWS}.")
        else:
            given = os.environ.get("CFLAGS", "").split()
            if dropped := [word for word in given if word.startswith(UNWANTED)]:
                print(f"fastconv: {' '.join(dropped)} of CFLAGS is left out: sets of instructions are chosen at import")
            for tool in ("compiler", "compiler_so", "linker_so", "linker_exe"):
                command = getattr(self.compiler, tool)
                setattr(self.compiler, tool, [word for word in command if not word.startswith(UNWANTED)])
        self.check_compiler()
        library, header, *_ = self.products()
        self.build_library(library)
        self.mkpath(os.path.dirname(header))
        self.copy_file("csrc/fastconv.h", header)
        for extension in self.extensions:
            extension.library_dirs = [os.path.dirname(library)]
            extension.extra_compile_args = self.spelled(extension.extra_compile_args)
            if self.windows:
                extension.extra_link_args = []
        super().build_extensions()

    def take_clang_cl(self):
        """Make setuptools' MSVC compile by clang-cl: CC, or one on PATH, in LLVM's own folder or in Visual Studio's."""
        compiler = self.compiler
        try:
            if not compiler.initialized:
                compiler.initialize(self.plat_name)
        except Exception as error:  # PlatformError, but its class differs between setuptools
            raise CompileError(f"{WINDOWS}. setuptools says: {error}") from None
        folders = [
            os.environ.get("PATH", ""),
            os.path.join(os.environ.get("PROGRAMFILES", ""), "LLVM", "bin"),
            os.path.join(os.path.dirname(compiler.cc), *[os.pardir] * 5, "Llvm", "x64", "bin"),  # cl is in MSVC/.../x64
        ]
        found = shutil.which(os.environ.get("CC") or "clang-cl", path=os.pathsep.join(folders))
        if not found or not os.path.basename(found).lower().startswith("clang-cl"):
            raise CompileError(f"{WINDOWS}.")
        compiler.cc = os.path.abspath(found)
        # /GS-: only what GUARD_FLAGS ask for is guarded. -m64: Visual Studio also has a clang-cl that is for x86.
        compiler.compile_options = ["/nologo", "/MD", "/DNDEBUG", "/GS-"]
        compiler.compile_options += ["-m64"] if self.plat_name == "win-amd64" else []
        # Its own headers of intrinsics and atomics come before Microsoft's only where those are named in INCLUDE.
        os.environ["INCLUDE"] = ";".join(type(compiler).include_dirs)
        type(compiler).include_dirs = []

    def spelled(self, flags):
        """GCC's flags as the compiler takes them."""
        return [f"/clang:{flag}" if self.windows else flag for flag in flags]

    def check_compiler(self):
        """Raise where the compiler cannot build fastconv, before pages of its errors do."""
        for name, program, lacking, remedy in REQUIREMENTS:
            links = name == "linker"
            if not self.accepts(name, program, [], [] if links else None):
                variable = "LDFLAGS" if links else "CFLAGS"
                flags = None if self.windows else os.environ.get(variable)
                given = f" with {variable}={flags!r}" if flags else ""
                used = self.compiler.cc if self.windows else self.compiler.compiler[0]
                raise CompileError(f"fastconv: {used}{given} {lacking}. {remedy}.")
        if not self.accepts("age", OLDEST_PROBE, []):
            print("fastconv: the compiler is older than gcc 11 or clang 14, the oldest that are tested")

    def build_library(self, library):
        machine = self.plat_name.rsplit("-", 1)[-1]
        sets = [isa for isa in INSTRUCTION_SETS if machine in isa.machines and self.has_instruction_set(isa)]
        if not any(machine in isa.machines for isa in INSTRUCTION_SETS):
            print(f"fastconv: of {machine} no instruction set beyond baseline is known")
        openmp = [OPENMP_FLAG] if self.has_openmp() else []

        # (source, folder of the object, flags); runtime/dispatch.c learns from the macros which sets there are.
        macros = [(f"FC_HAVE_{isa.name.upper()}", None) for isa in sets]
        macros += [("FC_EMULATED", None)] if EMULATE else []
        macros += [("FC_EXPORTS", None)] if self.windows else []
        flags = {isa.name: ["-Wno-psabi"] if EMULATE else isa.flags for isa in sets} | {"baseline": []}
        jobs = [
            (f"csrc/isa/{name}.c", f"{name}_{dtype}", [*flags[name], f"-DFC_{dtype.upper()}"])
            for name in flags
            for dtype in ("f32", "f64")
        ]
        jobs += [("csrc/runtime/threads.c", "threads", [*openmp, *GUARD_FLAGS])]
        special = {source for source, _, _ in jobs}
        rest = sorted(source for folder in ("ops", "algorithms", "runtime") for source in glob(f"csrc/{folder}/*.c"))
        jobs += [(source, "common", GUARD_FLAGS) for source in rest if source not in special]

        def compile_source(job):
            source, folder, flags = job
            folder = os.path.join(self.build_temp, folder)
            (result,) = self.compiler.object_filenames([source], output_dir=folder)
            if self.force or newer_group([source, *DEPENDS], result):
                flags = self.spelled([*C_FLAGS, *flags])
                self.compiler.compile([source], folder, macros, ["csrc"], extra_postargs=flags)
            return result

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_source, jobs))

        if self.force or newer_group(objects, library):
            self.link_library(objects, library, self.openmp_link_flags() if openmp else [])
        print(f"fastconv: instruction sets {', '.join(['baseline', *(isa.name for isa in sets)])}")

    def link_library(self, objects, library, openmp):
        if self.windows:
            folder = os.path.dirname(library)
            flags = [f"/IMPLIB:{os.path.join(folder, IMPORT_LIBRARY)}", *openmp]
            self.compiler.link_shared_object(objects, library, extra_postargs=flags)
            if openmp:
                self.copy_file(self.libomp, folder)
            return
        linker = copy.copy(self.compiler)
        linker.linker_so = ["-dynamiclib" if word == "-bundle" else word for word in linker.linker_so]
        flags = [LIBRARY_NAME, *LINK_FLAGS, *(["-Wl,-z,defs"] if ELF else []), *openmp]
        linker.link_shared_object(objects, library, libraries=["m", "pthread"], extra_postargs=flags)

    def openmp_link_flags(self):
        if not self.windows:
            return [OPENMP_FLAG]
        llvm = os.path.dirname(os.path.dirname(self.compiler.cc))
        return [f"/LIBPATH:{os.path.join(llvm, 'lib')}", "libomp.lib"]

    def has_instruction_set(self, isa):
        found = self.accepts(isa.name, isa.probe, isa.flags)
        if not found:
            print(f"fastconv: {isa.name} is left out: the compiler does not accept {' '.join(isa.flags) or isa.name}")
        return found

    def has_openmp(self):
        if self.windows and "FASTCONV_OPENMP" not in os.environ:
            print(f"fastconv: OpenMP is left out: {WINDOWS_OPENMP}; the library will run on one thread")
            return False
        if not asked("FASTCONV_OPENMP", "1"):
            print("fastconv: OpenMP is left out as FASTCONV_OPENMP=0 asks; the library will run on one thread")
            return False
        found = self.accepts("openmp", OPENMP_PROBE, [OPENMP_FLAG], self.openmp_link_flags())
        if self.windows:
            dll = os.path.join(os.path.dirname(self.compiler.cc), "libomp.dll")
            found = found and os.path.exists(dll)
            self.libomp = dll if found else None
        if not found:
            print(
                "fastconv: OpenMP is left out: the compiler lacks it (clang's: Debian: apt install libomp-dev; Fedora: "
                "dnf install libomp-devel; macOS: brew install libomp); the library will run on one thread"
            )
        return found

    def accepts(self, name, program, flags, link=None):
        """Whether the compiler takes a small program with these flags, and the linker with those of `link`."""
        folder = os.path.join(self.build_temp, "probe", name)
        os.makedirs(folder, exist_ok=True)
        source = os.path.join(folder, "probe.c")
        with open(source, "w") as file:
            file.write(program)
        try:
            flags = self.spelled(flags)
            objects = self.compiler.compile([source], folder, include_dirs=self.include_dirs, extra_postargs=flags)
            if link is not None:
                self.compiler.link_shared_object(objects, os.path.join(folder, "probe.so"), extra_postargs=link)
        except (CompileError, LinkError):
            return False
        return True

    def products(self):
        """The library, its header and more: where they are built, and where an editable install wants them."""
        package = self.get_finalized_command("build_py").get_package_dir("fastconv")
        parts = [("lib", "fastconv.dll" if self.windows else LIBRARY), ("include", "fastconv.h")]
        parts += [("lib", IMPORT_LIBRARY)] if self.windows else []
        parts += [("lib", "libomp.dll")] if self.libomp else []
        return {os.path.join(self.build_lib, "fastconv", *part): os.path.join(package, *part) for part in parts}

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        for built, inplace in self.products().items():
            self.mkpath(os.path.dirname(inplace))
            self.copy_file(built, inplace)

    def get_outputs(self):
        products = self.products()
        return [*super().get_outputs(), *(products.values() if self.inplace else products)]

    def get_output_mapping(self):
        mapping = super().get_output_mapping()
        return {**mapping, **self.products()} if self.inplace else mapping


core = Extension(
    "fastconv._core",
    ["fastconv/_core.pyx"],
    include_dirs=["csrc", numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    libraries=["fastconv"],
    extra_compile_args=[*CYTHON_FLAGS, *GUARD_FLAGS],
    extra_link_args=[*LINK_FLAGS, FIND_LIBRARY],
    depends=["setup.py", *glob("csrc/*.h"), *glob("fastconv/*.pxd"), *glob("fastconv/*.pxi")],
)
core.cython_c_in_temp = True

setup(ext_modules=[core], cmdclass={"build_ext": BuildExt})
