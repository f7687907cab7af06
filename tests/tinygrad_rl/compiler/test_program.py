"""What a traced program shows: ops, lines, costs; and what freezing and blocking take out."""

import linecache
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import passes
from tinygrad_rl.compiler.tracing import trace

SIZE, OBS, ACT, WIDTH = 256, 17, 6, 256


def loss_of(x, w, b, y):
    h = tg.relu(x @ w + b)
    loss = tg.mse_loss(h, y)
    loss.backward()
    return loss


def line_of(text):
    lines = Path(__file__).read_text().splitlines()
    return f"test_program.py:{1 + next(k for k, line in enumerate(lines) if text in line)}"


def arguments():
    rng = np.random.default_rng(0)
    return [
        tg.from_numpy(rng.normal(size=s).astype(np.float32)) for s in ((4, 3), (3, 2), (2,), (4, 2))
    ]


def test_each_instruction_knows_its_op_shape_and_line():
    x, w, b, y = arguments()
    w.requires_grad = b.requires_grad = True
    p = trace(loss_of, (x, w, b, y)).program
    assert p.name == "loss_of" and [v.name for v in p.inputs] == ["x", "w", "b", "y"]
    forward = {i.op.name: i for i in p.instructions[:4]}
    assert list(forward) == ["matmul", "add", "relu", "mse_loss"]
    assert forward["relu"].out.name == "h"
    assert forward["relu"].line == line_of("h = tg.relu(x @ w + b)")
    assert forward["matmul"].out.spec == "f32[4,2]"
    assert forward["matmul"].flops == 2 * 4 * 3 * 2
    assert all(i.line == line_of("loss.backward()") for i in p.instructions[-4:])
    listing = p.listing()
    assert "def loss_of(x: f32[4,3], w: f32[3,2], b: f32[2], y: f32[4,2]):" in listing
    for text in ("h = relu(", "grad_w", "grad_b", "return loss"):
        assert text in listing
    assert listing.count("\n") == len(p.instructions) + 1
    assert p.flops() == 2 * (2 * 4 * 3 * 2)  # forward, and dw: x requires no gradient
    assert p.bytes() == sum(i.nbytes for i in p.instructions)


def test_the_source_is_the_file_on_disk_and_each_step_says_what_it_is():
    x, w, b, y = arguments()
    w.requires_grad = b.requires_grad = True
    step = tg.jit(loss_of)
    step(x, w, b, y)
    text = step.source()
    assert "\ndef loss_of(memory):\n" in text
    for name in ("x = array(", "w = array(", "grad_w = array("):
        assert f"    {name}" in text
    for i in step.plan().program.instructions:
        if i.op.name not in ("permute", "reshape", "broadcast_to", "slice"):
            assert f"# {i}: {i.out.spec}"[:90] in text
    assert f"({line_of('h = tg.relu(x @ w + b)')})" in text
    file = step.file()
    assert file.read_text() == text and file.name.startswith("jit_loss_of_")
    assert max(map(len, text.splitlines())) <= 160


def test_states_are_named_after_where_they_are_found():
    net = tg.nn.MLP((3, 4, 1), rng=np.random.default_rng(0))
    optimizer = tg.optim.Adam(net.parameters())

    def step(x):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()

    p = trace(step, (tg.ones(2, 3),)).program
    names = {v.name for v in p.states}
    assert {"net_0_weight", "optimizer_rate", "optimizer_state_exp_avg_0"} <= names
    assert "grad_net_0_weight = " in p.listing()


def test_tracing_changes_nothing():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        (x * w).sum().backward()
        tg.optim.SGD([w], 0.1).step()

    trace(step, (tg.ones(2),))
    assert w.grad is None and w.tolist() == [1, 2]


def test_code_that_linecache_does_not_know_has_no_names_but_compiles():
    space = {"tg": tg}
    exec("def f(x):\n    y = x * 2\n    return y + 1", space)
    linecache.checkcache()
    assert tg.jit(space["f"])(tg.ones(1)).tolist() == [3]


# -- the question of the project -------------------------------------------------------------------


@pytest.fixture(scope="module")
def backward_of():
    rng = np.random.default_rng(0)
    actor = tg.nn.MLP((OBS, WIDTH, WIDTH, ACT), rng=rng)
    critic = tg.nn.MLP((OBS + ACT, WIDTH, WIDTH, 1), rng=rng)
    obs = tg.zeros(SIZE, OBS)

    def forward(obs, block=False):
        action = tg.tanh(actor(obs))
        if block:
            action = tg.stop_gradient(action)
        return -critic(tg.concatenate([obs, action], 1)).mean()

    def frozen(obs):
        with tg.frozen(critic):
            loss = forward(obs)
        loss.backward()
        return loss

    def naive(obs):
        loss = forward(obs)
        loss.backward()
        return loss

    def blocked(obs):
        loss = forward(obs, block=True)
        loss.backward()
        return loss

    ahead = trace(lambda obs: forward(obs), (obs,)).program

    def programs(name):
        traced = trace({"frozen": frozen, "naive": naive, "blocked": blocked}[name], (obs,)).program
        return traced, passes.simplify(traced), ahead.flops()

    return programs


@pytest.mark.parametrize(
    "name, traced, compiled",
    [("frozen", 107.61, 105.38), ("naive", 144.31, 142.08), ("blocked", 70.39, 70.39)],
)
def test_what_a_backward_costs(backward_of, name, traced, compiled):
    before, after, forward = backward_of(name)
    assert round((before.flops() - forward) / 1e6, 2) == traced
    assert round((after.flops() - forward) / 1e6, 2) == compiled


def test_freezing_takes_lines_out_and_blocking_takes_a_path_out(backward_of):
    def gradients(name):
        names = [i.out.name for i in backward_of(name)[0].instructions]
        return {n for n in names if n.startswith("grad_") and n.endswith(("_weight", "_bias"))}

    frozen, naive, blocked = map(gradients, ("frozen", "naive", "blocked"))
    assert len(frozen) == len(blocked) == 6 and naive == frozen | blocked
    assert all("actor" in n for n in frozen) and all("critic" in n for n in blocked)
    ops = [i.op.name for i in backward_of("blocked")[0].instructions]
    assert ops.count("stop_gradient") == 1
    assert "tanh.vjp_x" not in ops and "tanh" in ops
