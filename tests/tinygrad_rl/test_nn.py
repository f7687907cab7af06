"""Modules: names and shapes as PyTorch's, state that is checked before it is taken, copies."""

import copy

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn
from tinygrad_rl.nn import functional as F


def network() -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(3, 4, rng=rng), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2, bias=False, rng=rng)
    )


# -- names and shapes ------------------------------------------------------------------------------


def test_names_and_shapes_are_pytorchs() -> None:
    shapes = {name: t.shape for name, t in network().state_dict().items()}
    assert shapes == {
        "0.weight": (4, 3),
        "0.bias": (4,),
        "1.weight": (4,),
        "1.bias": (4,),
        "3.weight": (2, 4),
    }


def test_an_mlp_is_a_sequential_of_linear_layers_and_activations() -> None:
    mlp = nn.MLP((3, 8, 8, 2), nn.Tanh, layer_norm=True)
    kinds = [type(layer).__name__ for layer in mlp]
    assert kinds == ["Linear", "LayerNorm", "Tanh", "Linear", "LayerNorm", "Tanh", "Linear"]
    assert mlp[6].weight.shape == (2, 8) and len(mlp) == 7
    assert mlp(np.zeros((5, 3), np.float32)).shape == (5, 2)
    with pytest.raises(ValueError, match="at least an input and an output size"):
        nn.MLP((3,))


def test_linear_is_x_times_weight_transposed_plus_bias() -> None:
    layer = nn.Linear(3, 2, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)


def test_layer_norm_has_zero_mean_and_unit_variance_over_its_axes() -> None:
    layer = nn.LayerNorm((4, 3), eps=0.0, dtype=np.float64)
    x = np.random.default_rng(0).normal(2.0, 3.0, size=(5, 4, 3))
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-12)
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        layer(np.zeros((5, 3, 4)))


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
        (nn.ELU(0.5), lambda x: F.elu(x, 0.5)),
        (nn.GELU(), F.gelu),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (nn.SiLU(), F.silu),
        (nn.Softplus(), F.softplus),
        (nn.Tanh(), F.tanh),
        (nn.Sigmoid(), F.sigmoid),
    ],
)
def test_activations_are_their_functions(layer: nn.Module, function) -> None:
    x = tg.Tensor([-2.0, 0.0, 1.5])
    assert np.array_equal(layer(x).numpy(), function(x).numpy())
    assert layer.parameters() == [] and layer.state_dict() == {}


# -- initial values --------------------------------------------------------------------------------


def test_the_generator_decides_the_initial_values() -> None:
    one, other = (nn.MLP((3, 4, 2), rng=np.random.default_rng(7)) for _ in range(2))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_networks_made_without_a_generator_are_never_twins() -> None:
    # Twin critics that start the same stay the same: the minimum of the two is worth nothing.
    for make in (lambda: nn.Linear(8, 8), lambda: nn.MLP((8, 8))[0]):
        assert not np.array_equal(make().weight.numpy(), make().weight.numpy())


@pytest.mark.parametrize(
    ("fill", "bound"),
    [
        (lambda t, rng: nn.init.fan_in_uniform_(t, 50, rng), 1 / np.sqrt(50)),
        (nn.init.xavier_uniform_, np.sqrt(6 / 90)),
        (nn.init.kaiming_uniform_, np.sqrt(6 / 50)),
        (lambda t, rng: nn.init.uniform_(t, -0.003, 0.003, rng), 0.003),
    ],
)
def test_uniform_initialisers_fill_their_interval(fill, bound, rng: np.random.Generator) -> None:
    t = tg.Tensor(np.zeros((40, 50)), requires_grad=True)
    fill(t, rng)
    values = t.numpy()
    assert np.abs(values).max() <= bound
    assert values.min() < -0.95 * bound and values.max() > 0.95 * bound
    assert t.requires_grad and t.is_leaf


def test_normal_and_orthogonal_initialisers(rng: np.random.Generator) -> None:
    t = tg.Tensor(np.zeros((100, 50)))
    nn.init.normal_(t, 1.0, 2.0, rng)
    assert abs(t.numpy().mean() - 1) < 0.1 and abs(t.numpy().std() - 2) < 0.1
    for shape in ((4, 6), (6, 4)):
        t = tg.Tensor(np.zeros(shape))
        nn.init.orthogonal_(t, rng, gain=3.0)
        q = t.numpy() if shape[0] <= shape[1] else t.numpy().T
        np.testing.assert_allclose(q @ q.T, 9 * np.eye(4), atol=1e-12)
    with pytest.raises(ValueError, match=r"\(out, in\)"):
        nn.init.orthogonal_(tg.Tensor([1.0]), rng)


# -- what belongs to a module ----------------------------------------------------------------------


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = tg.Tensor([1.0], requires_grad=True)
        self.count = tg.Tensor(0)
        self.part = nn.Linear(1, 1)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        self.last = self.part(x) * self.scale
        return self.last


def test_parameters_and_buffers() -> None:
    odd = Odd()
    names = [name for name, _ in odd.named_parameters()]
    assert names == ["scale", "part.weight", "part.bias"]
    assert [name for name, _ in odd.named_buffers()] == ["count"]
    assert list(odd.state_dict()) == [*names, "count"]
    odd.requires_grad_(False)
    assert [name for name, _ in odd.named_parameters()] == names


def test_a_result_kept_as_attribute_is_no_parameter() -> None:
    odd = Odd()
    odd(tg.Tensor([[1.0]]))
    assert odd.last.requires_grad
    assert "last" not in odd.state_dict() and len(odd.parameters()) == 3


def test_reassigned_and_deleted_attributes_are_forgotten() -> None:
    odd = Odd()
    odd.scale = None
    odd.part = nn.ReLU()
    odd.count = tg.Tensor([1.0], requires_grad=True)
    assert list(odd.state_dict()) == ["count"] and len(odd.parameters()) == 1
    del odd.count
    assert odd.state_dict() == {} and not hasattr(odd, "count")


def test_a_shared_parameter_is_one_parameter_under_two_names() -> None:
    odd = Odd()
    odd.tied = odd.part
    assert len(odd.parameters()) == 3
    assert {"part.weight", "tied.weight"} <= odd.state_dict().keys()


def test_assigning_before_init_is_an_error() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.weight = tg.Tensor([1.0])

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) before assigning 'weight'"):
        Early()


def test_parameters_are_a_list_that_cannot_be_used_up() -> None:
    parameters = network().parameters()
    assert isinstance(parameters, list)


def test_modes_flags_and_gradients_reach_every_part() -> None:
    net = network()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    net(np.ones((2, 3), np.float32)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters())


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


# -- copies and state ------------------------------------------------------------------------------


def test_deepcopy_makes_a_target_network() -> None:
    critic = network()
    critic(np.ones((2, 3), np.float32)).sum().backward()
    target = copy.deepcopy(critic).requires_grad_(False)
    assert all(p.requires_grad for p in critic.parameters())
    assert list(target.state_dict()) == list(critic.state_dict())
    before = target(np.ones((2, 3), np.float32)).numpy().copy()
    with tg.no_grad():
        for p in critic.parameters():
            p.zero_()
    assert np.array_equal(target(np.ones((2, 3), np.float32)).numpy(), before)
    # The copy's attributes are its own parameters, not others with the same numbers.
    assert target[0].weight is dict(target.named_parameters())["0.weight"]


def test_state_dict_shares_memory_and_loading_writes_in_place() -> None:
    one, other = network(), network()
    weight = other[0].weight
    with tg.no_grad():
        one[0].weight.assign_(5.0)
    assert (one.state_dict()["0.weight"].numpy() == 5).all()
    other.load_state_dict(one.state_dict())
    assert other[0].weight is weight and (weight.numpy() == 5).all() and weight.requires_grad


def test_loading_counts_as_a_change_in_place() -> None:
    net = network()
    loss = net(np.ones((2, 3), np.float32)).sum()
    net.load_state_dict(network().state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("3.weight"), KeyError, r"missing \['3.weight'\]"),
        (lambda s: s.update({"9.bias": s["0.bias"]}), KeyError, r"unknown \['9.bias'\]"),
        (lambda s: s.update({"3.weight": np.zeros((4, 2))}), ValueError, r"'3.weight' has shape"),
        (lambda s: s.update({"3.weight": np.full((2, 4), "x")}), ValueError, "'3.weight' holds"),
    ],
)
def test_state_that_does_not_fit_changes_nothing(change, error, message) -> None:
    net = network()
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    state = {name: t.numpy() + 1 for name, t in net.state_dict().items()}
    change(state)
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    for name, t in net.state_dict().items():
        assert np.array_equal(t.numpy(), before[name])


def test_floats_are_not_loaded_into_integers() -> None:
    odd = Odd()
    state = {**odd.state_dict(), "count": np.array(1.5)}
    with pytest.raises(ValueError, match="'count' holds float64"):
        odd.load_state_dict(state)


def test_float64_networks_stay_float64() -> None:
    mlp = nn.MLP((2, 3, 1), dtype=np.float64, layer_norm=True)
    out = mlp(np.ones((1, 2)))
    assert out.dtype == np.float64 and all(p.dtype == np.float64 for p in mlp.parameters())


def test_repr_shows_the_tree() -> None:
    assert repr(network()).splitlines() == [
        "Sequential(",
        "  (0): Linear(in_features=3, out_features=4, bias=True)",
        "  (1): LayerNorm((4,))",
        "  (2): Tanh()",
        "  (3): Linear(in_features=4, out_features=2, bias=False)",
        ")",
    ]
