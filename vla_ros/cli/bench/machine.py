"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

GIB = 2**30


def describe_machine() -> dict[str, Any]:
    """Cores this process may use, memory, processor, system, and how busy the machine has been in the last minute."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor_model(Path("/proc/cpuinfo").read_text(encoding="utf-8")) or platform.processor(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def processor_model(cpuinfo: str) -> str:
    """The model's name in the text of /proc/cpuinfo; empty where it is not given."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""
