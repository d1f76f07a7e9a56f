"""CPU time: the measure that a busy machine disturbs least, and the one that Cloud Run bills."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import NamedTuple

import psutil

_WHOLE_PROCESS = 2  # CPUCLOCK_SCHED in Linux: user and system, all threads


class StartUp(NamedTuple):
    """What some statements cost a fresh interpreter: milliseconds of CPU, and modules loaded."""

    cpu_ms: float
    modules: int


def cpu_seconds() -> float:
    """User and system time of this process so far, all threads, as the operating system counts."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cpu_seconds_of(process: psutil.Process) -> float:
    """The same of another process, to the nanosecond where the system is Linux.

    psutil counts hundredths of a second, more than a hundred requests take. Linux has a clock for
    each process, whose number is made of the process's (clock_getcpuclockid(3)).
    """
    if psutil.LINUX:
        return time.clock_gettime((~process.pid << 3) | _WHOLE_PROCESS)
    times = process.cpu_times()
    return float(times.user + times.system)


def measure_start_up(statements: str, *, after: str = "pass") -> StartUp:
    """Run `statements` in a fresh interpreter that has run `after`.

    Raises:
        subprocess.CalledProcessError: The statements failed; what they said is on stderr.
    """
    script = f"""
import sys, time
{after}
modules, cpu = len(sys.modules), time.process_time()
{statements}
print((time.process_time() - cpu) * 1000, len(sys.modules) - modules)
"""
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    cpu_ms, modules = output.split()
    return StartUp(float(cpu_ms), int(modules))
