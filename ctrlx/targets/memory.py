"""The most memory that a stretch of work took: the accelerator's, or the whole process's on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_peak(device: torch.device) -> None:
    """Forget earlier peaks, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        try:
            CLEAR.write_text("5")  # resets VmHWM to what is in use now (Linux, proc(5))
        except OSError:
            pass  # a locked-down container: the peak is then that of the whole process's life


def peak_memory(device: torch.device) -> int:
    """Bytes at the peak since `start_peak`: of tensors on a CUDA device, else of the process, libraries and all."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
