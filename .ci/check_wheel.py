"""Whether a repaired wheel for Linux has what it should: size, files, licences, and hardened binaries.

python .ci/check_wheel.py WHEEL...
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from zipfile import ZipFile

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

MOST_BYTES = 3_000_000
NEEDED = ("fastconv/lib/libfastconv.so", "fastconv/include/fastconv.h", "fastconv/_core.pxd", "fastconv/py.typed")
FLAG_EXECUTABLE, FLAG_BIND_NOW, FLAG_1_NOW = 0x1, 0x8, 0x1


def faults_of_binary(data: bytes, bundled: bool) -> Iterator[str]:
    """Yield what is wrong with a shared library; of what others have built, only what endangers our process."""
    elf = ELFFile(io.BytesIO(data))
    segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
    stack = segments.get("PT_GNU_STACK")
    if stack is None or stack["p_flags"] & FLAG_EXECUTABLE:
        yield "its stack is executable"
    if "PT_GNU_RELRO" not in segments:
        yield "no RELRO"
    dynamic = next(section for section in elf.iter_sections() if isinstance(section, DynamicSection))
    tags = {tag.entry.d_tag: tag for tag in dynamic.iter_tags()}
    for name in ("DT_RPATH", "DT_RUNPATH"):
        paths = getattr(tags.get(name), name[3:].lower(), "")
        for path in filter(None, paths.split(":")):
            if not path.startswith("$ORIGIN"):
                yield f"{name} has {path}"
    if "DT_TEXTREL" in tags:
        yield "its code is written to when it is loaded"
    if bundled:
        return
    flags = [tags[name].entry.d_val if name in tags else 0 for name in ("DT_FLAGS", "DT_FLAGS_1")]
    if not (flags[0] & FLAG_BIND_NOW or flags[1] & FLAG_1_NOW):
        yield "no BIND_NOW"
    if "__stack_chk_fail" not in {symbol.name for symbol in elf.get_section_by_name(".dynsym").iter_symbols()}:
        yield "no stack protector"


def newest_glibc(data: bytes) -> tuple[int, ...]:
    """Return the newest version of the C library that a shared library asks for."""
    sections = ELFFile(io.BytesIO(data)).iter_sections()
    names = [
        version.name
        for section in sections
        if isinstance(section, GNUVerNeedSection)
        for _, versions in section.iter_versions()
        for version in versions
    ]
    numbers = [name.removeprefix("GLIBC_") for name in names if name.startswith("GLIBC_2")]
    return max((tuple(map(int, number.split("."))) for number in numbers), default=())


def faults_of_wheel(path: str) -> Iterator[str]:
    """Yield what is wrong with a wheel, after printing what it carries."""
    size = os.path.getsize(path)
    print(f"{os.path.basename(path)}: {size} bytes")
    if size >= MOST_BYTES:
        yield f"it has {size} bytes, {MOST_BYTES} are too many"
    with ZipFile(path) as wheel:
        names = wheel.namelist()
        yield from (f"{name} is missing" for name in NEEDED if name not in names)
        yield from (
            f"{name} does not belong there"
            for name in names
            if not name.startswith(("fastconv/", "fastconv-", "fastconv.libs/"))
        )
        yield from (f"{name} is a source" for name in names if name.endswith((".c", ".pyx", ".pxi", ".o")))
        binaries = [name for name in names if ".so" in name]
        for name in binaries:
            data = wheel.read(name)
            bundled = name.startswith("fastconv.libs/")
            print(
                f"  {name}: {len(data)} bytes, needs glibc {'.'.join(map(str, newest_glibc(data))) or 'of any version'}"
            )
            yield from (f"{name}: {fault}" for fault in faults_of_binary(data, bundled))
        licences = {name.rsplit("/", 1)[1] for name in names if ".dist-info/licenses/" in name}
        if "LICENSE" not in licences:
            yield "LICENSE is missing"
        if "linux" in os.path.basename(path) and not any("libgomp" in name for name in binaries):
            yield "it bundles no libgomp: threads would depend on what is installed"
        if any("libgomp" in name for name in binaries) and "LICENSE.libgomp" not in licences:
            yield "it bundles libgomp, but not its licence"


def main(paths: list[str]) -> int:
    """Check each wheel; the exit status."""
    faults = [f"{os.path.basename(path)}: {fault}" for path in paths for fault in faults_of_wheel(path)]
    print(*(faults or ["clean"]), sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
