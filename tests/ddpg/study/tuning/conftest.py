import os

import pytest


@pytest.fixture
def no_disk(monkeypatch):
    """Nothing waits for the disk: Optuna does after each line of its journal."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
