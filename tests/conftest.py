"""Fixtures that every test may use: a home of its own, a small registry/ with one control, and the program as a subprocess."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctrlx import catalogue
from tests.shipped import ship_control


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty CTRLX_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CTRLX_HOME", str(folder))
    monkeypatch.delenv("CTRLX_DEBUG", raising=False)
    return folder


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Path:
    """A registry/ with the real families and one built-in control, 'slider_age', in use in this process."""
    folder = tmp_path / "registry"
    shutil.copytree(catalogue.registry_folder() / "families", folder / "families")
    ship_control(folder, "slider_age")
    monkeypatch.setattr(catalogue, "registry_folder", lambda: folder)
    return folder


@pytest.fixture
def program(home):
    """Runs `ctrlx ARGUMENTS` in a process of its own."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        whole = {**os.environ, **environment}
        streams = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        return subprocess.run([sys.executable, "-m", "ctrlx", *arguments], check=False, env=whole, timeout=120, **streams)

    return run
