import numpy as np
import torch

from ctrlx.targets.memory import peak_memory, start_peak

CPU = torch.device("cpu")


def test_the_peak_is_seen_after_the_memory_was_given_back():
    start_peak(CPU)
    before = peak_memory(CPU)
    np.ones(100_000_000, np.uint8).sum()
    assert 80e6 < peak_memory(CPU) - before < 300e6


def test_an_earlier_peak_is_forgotten_where_the_system_can():
    np.ones(200_000_000, np.uint8).sum()
    high = peak_memory(CPU)
    start_peak(CPU)
    assert peak_memory(CPU) <= high
