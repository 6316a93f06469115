"""What a run was made on, and what about it makes figures doubtful: other load, frequencies that drift, noise."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import fastconv

__all__ = ["Cache", "Clock", "Machine", "detect"]

CPUS = Path("/sys/devices/system/cpu")
QUIET_SECONDS = 0.2


@dataclass
class Cache:
    """One level of the hierarchy, as one core sees it."""

    level: int
    bytes: int
    shared_by: int
    """How many logical CPUs share it."""


@dataclass
class Machine:
    """What was found before the run; what is not known is empty or zero."""

    cpu: str
    architecture: str
    system: str
    cpus: int
    """Logical CPUs that this process may use."""
    memory: int
    """Bytes."""
    caches: list[Cache] = field(default_factory=list)
    governor: str = ""
    megahertz: float = 0.0
    """Of the fastest core as the run began."""
    load: float = 0.0
    """Runnable processes, mean of the last minute before the run."""
    busy: float = 0.0
    """Share of the CPUs that others used just before the run."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of Python, NumPy and fastconv, its instruction sets and threads."""

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Machine:
        """From JSON."""
        names = {one.name for one in fields(cls)}
        machine = cls(**{name: value for name, value in told.items() if name in names})
        machine.caches = [Cache(**one) for one in told.get("caches", [])]
        return machine

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    def describe(self) -> str:
        """Say in one line what it is."""
        caches = ", ".join(f"L{one.level} {_size(one.bytes)}" for one in self.caches)
        clock = f", {self.megahertz:.0f} MHz" if self.megahertz else ""
        return f"{self.cpu} ({self.architecture}, {self.cpus} CPUs{clock}; {caches or 'caches unknown'})"


class Clock:
    """The time that a run takes, and how much of it a hypervisor gave to others."""

    def __init__(self) -> None:
        self.start, self._ticks = time.perf_counter(), _ticks()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self.start

    @property
    def stolen(self) -> float:
        """Share of the CPUs' time since then that another guest of the host had."""
        return _share(self._ticks, _ticks(), 7)


def detect() -> Machine:
    """Look at this machine; takes a moment, in which the caller does nothing, to see what others do."""
    config = fastconv.runtime.config()
    before = _ticks()
    time.sleep(QUIET_SECONDS)
    return Machine(
        cpu=re.sub(r" \([^()]*\)$", "", config["CPU"]),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        cpus=len(cpus()),
        memory=_memory(),
        caches=_caches(),
        governor=_text(CPUS / "cpu0/cpufreq/scaling_governor"),
        megahertz=_megahertz(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        busy=1 - _share(before, after, 3, 4) if (after := _ticks()) else 0.0,
        versions={name: config[name] for name in ("fastconv", "instruction set", "OpenMP", "NumPy", "Python")},
    )


def cpus() -> list[int]:
    """The logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _megahertz() -> float:
    kilohertz = [_text(path) for path in CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if any(kilohertz):
        return max(float(one) for one in kilohertz if one) / 1e3
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return max(map(float, found), default=0.0)


def _caches() -> list[Cache]:
    found = []
    for index in sorted((CPUS / "cpu0/cache").glob("index[0-9]*")):
        size = re.fullmatch(r"(\d+)([KM]?)", _text(index / "size"))
        if size and _text(index / "type") != "Instruction":
            bytes_ = int(size[1]) << {"": 0, "K": 10, "M": 20}[size[2]]
            shared = _text(index / "shared_cpu_map").replace(",", "")
            found.append(Cache(int(_text(index / "level")), bytes_, max(1, int(shared or "1", 16).bit_count())))
    return found or _caches_of_libc()


def _caches_of_libc() -> list[Cache]:
    """What the C library knows, where the system tells nothing; who shares is then a guess."""
    found = []
    for level, name in ((1, "SC_LEVEL1_DCACHE_SIZE"), (2, "SC_LEVEL2_CACHE_SIZE"), (3, "SC_LEVEL3_CACHE_SIZE")):
        try:
            size = os.sysconf(name)
        except (AttributeError, ValueError, OSError):
            size = 0
        if size > 0:
            found.append(Cache(level, size, (os.cpu_count() or 1) if level == 3 else 1))
    return found


def _ticks() -> list[int]:
    """How the time of all CPUs was used: user, nice, system, idle, iowait, irq, softirq, steal, ..."""
    line = _text(Path("/proc/stat")).partition("\n")[0]
    return [int(one) for one in line.split()[1:9]] if line.startswith("cpu ") else []


def _share(before: list[int], after: list[int], *columns: int) -> float:
    spent = [late - early for early, late in zip(before, after, strict=False)]
    return (
        sum(spent[column] for column in columns) / sum(spent) if sum(spent) > 0 and max(columns) < len(spent) else 0.0
    )
