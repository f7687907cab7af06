from dataclasses import fields

from ddpg.compare.critics.show import LOOKS
from ddpg.compare.critics.variants import COMMON, VARIANTS
from ddpg.config import ALGORITHMS


def test_the_first_is_plain_and_the_last_is_td3():
    first, *_, last = VARIANTS
    assert first.config == COMMON
    assert {name: getattr(COMMON, name) for name in ALGORITHMS["ddpg"]} == ALGORITHMS["ddpg"]
    assert {name: getattr(last.config, name) for name in ALGORITHMS["td3"]} == ALGORITHMS["td3"]


def test_they_differ_in_what_they_say_and_in_nothing_else():
    for variant in VARIANTS:
        differs = {
            f.name: getattr(variant.config, f.name)
            for f in fields(COMMON)
            if getattr(variant.config, f.name) != getattr(COMMON, f.name)
        }
        assert differs.items() <= dict(variant.settings).items()
        assert {n: getattr(variant.config, n) for n in variant.settings} == variant.settings


def test_each_has_a_name_a_sentence_and_a_look_of_its_own():
    assert [variant.name for variant in VARIANTS] == list(LOOKS)
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) == 4
    assert all(variant.meaning.endswith(".") for variant in VARIANTS)
    assert len({look["color"] for look in LOOKS.values()}) == len(VARIANTS)
