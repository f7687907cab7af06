"""gradient_contract: a broken clause is named with its tensor; a kept contract is silent."""

import numpy as np
import pytest

import tinygrad_rl as tg

OBS = tg.Tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


@pytest.fixture
def actor():
    return tg.nn.MLP((3, 8, 1), rng=np.random.default_rng(1))


@pytest.fixture
def critic():
    return tg.nn.MLP((4, 8, 1), rng=np.random.default_rng(2))


def loss_of(actor, critic):
    return -critic(tg.concatenate([OBS, actor(OBS)], axis=1)).mean()


def test_kept(actor, critic):
    with (
        tg.gradient_contract(receives=actor, untouched=critic, max_flops=3000) as contract,
        tg.frozen(critic),
    ):
        loss_of(actor, critic).backward()
    assert 0 < contract.flops <= 3000


def test_gradient_where_there_should_be_none(actor, critic):
    with (
        pytest.raises(AssertionError, match=r"untouched: critic\.0\.weight got a gradient of norm"),
        tg.gradient_contract(receives=actor, untouched=critic),
    ):
        loss_of(actor, critic).backward()


def test_gradient_that_is_cleared_again_does_not_escape(actor, critic):
    with (
        pytest.raises(tg.GradientContractError, match=r"critic\.2\.bias got a gradient"),
        tg.gradient_contract(untouched=critic),
    ):
        loss_of(actor, critic).backward()
        critic.zero_grad()


def test_gradient_that_is_added_to_an_older_one(actor, critic):
    loss_of(actor, critic).backward()
    with (
        pytest.raises(tg.GradientContractError, match="critic"),
        tg.gradient_contract(untouched=critic),
    ):
        loss_of(actor, critic).backward()


def test_older_gradient_alone_is_no_breach(actor, critic):
    loss_of(actor, critic).backward()
    with tg.gradient_contract(untouched=critic):
        pass


def test_value_that_moved(actor, critic):
    with (
        pytest.raises(
            tg.GradientContractError, match=r"critic\.0\.bias changed its value by up to 0\.5"
        ),
        tg.gradient_contract(untouched=critic),
        tg.no_grad(),
    ):
        critic[0].bias.add_(0.5)


def test_no_gradient_where_there_should_be_one(actor, critic):
    with (
        pytest.raises(tg.GradientContractError) as error,
        tg.gradient_contract(receives=[actor, critic]),
    ):
        action = actor(OBS).detach()
        critic(tg.concatenate([OBS, action], axis=1)).mean().backward()
    lines = str(error.value).splitlines()[1:]
    assert len(lines) == 4
    assert all("receives: actor." in line and "got no gradient" in line for line in lines)


def test_frozen_tensor_that_should_receive(actor, critic):
    with (
        pytest.raises(tg.GradientContractError, match="its requires_grad is False"),
        tg.gradient_contract(receives=critic),
    ):
        critic.requires_grad_(False)


@pytest.mark.parametrize(("factor", "word"), [(0.0, "exactly zero"), (float("nan"), "not finite")])
def test_useless_gradient(factor, word):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    with (
        pytest.raises(tg.GradientContractError, match=f"gradient of w is {word}"),
        tg.gradient_contract(receives=w),
    ):
        (w * factor).sum().backward()


def test_too_dear(actor, critic):
    with (
        pytest.raises(
            tg.GradientContractError, match=r"max_flops: the block took [\d,]+, at most 10"
        ),
        tg.gradient_contract(max_flops=10),
    ):
        loss_of(actor, critic).backward()


def test_every_broken_clause_is_in_one_error(actor, critic):
    with (
        pytest.raises(tg.GradientContractError) as error,
        tg.gradient_contract(receives={"policy": actor}, untouched={"value": critic}, max_flops=1),
    ):
        critic(tg.concatenate([OBS, actor(OBS).detach()], axis=1)).mean().backward()
    text = str(error.value)
    assert "receives: policy.0.weight" in text
    assert "untouched: value.0.weight" in text
    assert "max_flops" in text


def test_as_decorator_and_more_than_once(actor, critic):
    @tg.gradient_contract(receives=actor, untouched=critic)
    def step(freeze):
        if freeze:
            with tg.frozen(critic):
                return loss_of(actor, critic).backward()
        return loss_of(actor, critic).backward()

    step(freeze=True)
    step(freeze=True)
    with pytest.raises(tg.GradientContractError):
        step(freeze=False)


def test_an_error_inside_goes_through(actor):
    with (
        pytest.raises(ZeroDivisionError),
        tg.gradient_contract(receives=actor),
    ):
        1 / 0  # noqa: B018


def test_contracts_without_sense_are_refused(actor):
    with pytest.raises(ValueError, match="without a clause"):
        tg.gradient_contract(receives=(p for p in ()))
    with pytest.raises(ValueError, match=r"actor\.0\.weight can't both"):
        tg.gradient_contract(receives=actor, untouched=actor[0])
