"""The headline is one sentence that reads as one, for every mix of fates."""

import warnings

import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.explain.made import ACTOR, CRITIC, OBS, mlp, q
from tinygrad_rl.explain.headline import wrapped

OTHER = mlp(4, 8, 1)
LAYER = tg.nn.Linear(3, 1)
W, SCALE = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0], requires_grad=True)


def frozen_critic():
    with tg.frozen(CRITIC):
        return -q(ACTOR(OBS)).mean()


def two_frozen_critics():
    with tg.frozen(CRITIC, OTHER):
        action = ACTOR(OBS)
        other = OTHER(tg.concatenate([OBS, action], axis=1))
        return -tg.minimum(q(action), other).mean()


def one_tensor_of_a_module_frozen():
    with tg.frozen(CRITIC[2].bias):
        return -q(ACTOR(OBS)).mean()


def two_tensors_of_a_module_frozen():
    with tg.frozen(CRITIC[2].bias, CRITIC[0].bias):
        return -q(ACTOR(OBS)).mean()


def one_frozen_variable():
    with tg.frozen(SCALE):
        return (W * SCALE).sum()


def frozen_actor():
    with tg.frozen(ACTOR):
        action = ACTOR(OBS)
    return -q(action).mean()


def all_frozen():
    with tg.frozen(ACTOR):
        return ACTOR(OBS).mean()


def detached_and_frozen():
    with tg.frozen(CRITIC):
        return -q(ACTOR(OBS).detach()).mean() + W.sum()


def frozen_at_both_ends():
    with tg.frozen(CRITIC, ACTOR):
        return -q(ACTOR(OBS) * W[0]).mean()


def detached():
    return -q(ACTOR(OBS).detach()).mean()


def stopped():
    return -tg.stop_gradient(q(ACTOR(OBS))).mean()


def not_asked():
    return tg.grad(-q(ACTOR(OBS)).mean(), ACTOR.parameters())


def frozen_late():
    loss = -q(ACTOR(OBS)).mean()
    with tg.frozen(CRITIC), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss.backward()


def frozen_late_at_the_end():
    loss = -q(LAYER(OBS)).mean()
    with tg.frozen(LAYER), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss.backward()


def forgotten_critic():
    q(ACTOR(OBS))
    return ACTOR(OBS).mean()


def td3_bc(q_of_action, action):
    """The actor's loss of TD3+BC, whose weight is the size of Q without a gradient."""
    weight = 2.5 / tg.stop_gradient(abs(q_of_action).mean())
    return -weight * q_of_action.mean() + ((action - 0.3) ** 2).mean()


def scaled_by_q():
    action = ACTOR(OBS)
    with tg.frozen(CRITIC):
        return td3_bc(q(action), action)


def scaled_by_q_not_asked():
    action = ACTOR(OBS)
    return tg.grad(td3_bc(q(action), action), ACTOR.parameters())


def scaled_by_q_frozen_late():
    action = ACTOR(OBS)
    loss = td3_bc(q(action), action)
    with tg.frozen(CRITIC), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss.backward()
    return loss


def baseline_without_gradient():
    baseline = q(tg.zeros((6, 1))).detach()
    with tg.frozen(CRITIC):
        return (baseline - q(ACTOR(OBS))).mean()


def q_as_weight_only():
    with tg.frozen(CRITIC):
        weight = q(ACTOR(OBS)).detach()
    return (weight * ACTOR(OBS)).mean()


def written_without_gradient():
    actions = tg.zeros((6, 1))
    with tg.no_grad():
        actions[:] = ACTOR(OBS)
    return -q(actions).mean()


def moved_before_use():
    with tg.no_grad():
        for p in CRITIC.parameters():
            p.assign_(p * 1.0)
    return frozen_critic()


def dead():
    return tg.relu(W - 9.0).sum() + SCALE.sum()


def everything():
    return (W * SCALE).sum()


def nothing():
    return tg.Tensor([1.0]).sum()


SENTENCES = {
    frozen_critic: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, whose "
    "4 tensors are frozen.",
    two_frozen_critics: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC and "
    "OTHER, whose 8 tensors are frozen.",
    one_tensor_of_a_module_frozen: "The gradient reaches CRITIC (3 tensors) and ACTOR (4 tensors); "
    "CRITIC.2.bias is frozen.",
    two_tensors_of_a_module_frozen: "The gradient reaches CRITIC (2 tensors) and ACTOR "
    "(4 tensors); 2 tensors of CRITIC are frozen.",
    one_frozen_variable: "The gradient reaches W; SCALE is frozen.",
    frozen_actor: "The gradient reaches CRITIC (4 tensors) and does not enter ACTOR, whose "
    "4 tensors are frozen.",
    all_frozen: "The gradient is not computed: everything is frozen.",
    detached_and_frozen: "The gradient reaches W, is cut off from ACTOR (4 tensors) and does not "
    "enter CRITIC, whose 4 tensors are frozen.",
    frozen_at_both_ends: "The gradient reaches W and passes through CRITIC, whose 4 tensors are "
    "frozen; it does not enter ACTOR, whose 4 tensors are frozen.",
    **dict.fromkeys(
        (detached, written_without_gradient),
        "The gradient reaches CRITIC (4 tensors) and is cut off from ACTOR (4 tensors).",
    ),
    stopped: "The gradient is cut off from everything.",
    not_asked: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, whose "
    "4 tensors are not asked for.",
    frozen_late: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, whose "
    "4 tensors were frozen too late.",
    frozen_late_at_the_end: "The gradient reaches CRITIC (4 tensors); 2 tensors of LAYER were "
    "frozen too late.",
    forgotten_critic: "The gradient reaches ACTOR (4 tensors); CRITIC (4 tensors) takes no part.",
    **dict.fromkeys(
        (scaled_by_q, baseline_without_gradient, moved_before_use),
        "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, whose 4 tensors are "
        "frozen.",
    ),
    scaled_by_q_not_asked: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, "
    "whose 4 tensors are not asked for.",
    scaled_by_q_frozen_late: "The gradient reaches ACTOR (4 tensors) and passes through CRITIC, "
    "whose 4 tensors were frozen too late.",
    q_as_weight_only: "The gradient reaches ACTOR (4 tensors) and is cut off from CRITIC "
    "(4 tensors).",
    dead: "The gradient reaches SCALE and is exactly zero at W.",
    everything: "The gradient reaches everything.",
    nothing: "No tensor that requires a gradient takes part.",
}


@pytest.mark.parametrize("function", SENTENCES, ids=lambda f: f.__name__)
def test_headline(function):
    assert tg.explain(function).to_dict()["headline"] == SENTENCES[function]


@pytest.mark.parametrize(
    "function, said",
    [
        (scaled_by_q, "frozen, detached elsewhere"),
        (baseline_without_gradient, "frozen, detached elsewhere"),
        (scaled_by_q_not_asked, "none: not asked for, detached elsewhere"),
        (q_as_weight_only, "none: frozen, detached  "),
    ],
)
def test_what_cuts_another_way_comes_after_what_decides(function, said):
    (line,) = [x for x in str(tg.explain(function)).splitlines() if "CRITIC (4 tensors)  " in x]
    assert said in f"{line}  "


def test_a_count_stays_with_what_it_counts():
    text = "passes through critic, whose 6 tensors are frozen"
    for width in range(12, 50):
        lines = list(wrapped(text, width))
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= width
        assert not any(line.endswith("6") for line in lines)
