import pytest

from ddpg.compare.critics import training
from ddpg.compare.critics.training import LEAST_STEPS, MOMENTS, train_variant
from ddpg.compare.critics.variants import COMMON, Variant

TINY = Variant(
    "tiny",
    "As small as can be.",
    {
        "hidden": (2,),
        "batch_size": 2,
        "updates_per_step": 1,
        "gamma": 0.3,
        "critics": 2,
        "compile": False,
    },
)


@pytest.fixture(scope="module", autouse=True)
def one_episode():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "EPISODES", 1)
        yield


@pytest.fixture(scope="module")
def trained():
    counted = []
    return train_variant(TINY, LEAST_STEPS, 0, lambda: counted.append(1)), counted


def test_moments_are_spread_from_the_warm_up_to_the_end(trained):
    course, counted = trained
    distance = (LEAST_STEPS - COMMON.warmup_steps) // MOMENTS
    first = COMMON.warmup_steps + distance
    assert course.steps == list(range(first, LEAST_STEPS + 1, distance))
    assert len(course.moments) == len(course.returns) == MOMENTS
    assert len(counted) == LEAST_STEPS
    assert all(-2000 < r < 0 for r in course.returns)
    assert all(m.chosen.real < 0 for m in course.moments)


def test_the_same_seed_gives_the_same_course(trained):
    assert train_variant(TINY, LEAST_STEPS, 0) == trained[0]
    assert train_variant(TINY, LEAST_STEPS, 1) != trained[0]
