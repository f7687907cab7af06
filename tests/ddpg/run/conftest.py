"""What tests of runs ask for by name."""

import pytest

from tests.ddpg.run import environments
from tests.ddpg.run.runs import without_drawing


@pytest.fixture
def no_drawing():
    """Instead of the picture at a run's end something short is written."""
    with without_drawing():
        yield


@pytest.fixture
def happens(monkeypatch):
    """What environments do at which step of all that they make: nothing, so far."""
    monkeypatch.setattr(environments, "steps", 0)
    monkeypatch.setattr(environments, "happens", {})
    return environments.happens
