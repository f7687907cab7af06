"""Compiled forms: what makes a new one and why, how many are kept, what is said of it."""

import cProfile
import functools
import re
import sys
import warnings

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn, optim
from tinygrad_rl.compiler.jitted import MAX_FORMS

X = tg.Tensor([1.0, 2.0])


class Settings:
    def __init__(self, **settings):
        vars(self).update(settings)


# -- reasons ---------------------------------------------------------------------------------------


def test_the_reason_names_the_place_the_line_and_both_values():
    weight = tg.ones(2, requires_grad=True)
    opt = optim.SGD([weight], lr=0.1)
    config = Settings(scale=2.0)

    @tg.jit
    def step(x):
        opt.zero_grad()
        (x * weight).sum().backward()
        opt.step()
        return x * config.scale

    step(X)
    opt.weight_decay = 0.1
    step(X)
    config.scale = 3.0
    step(X)
    weight.register_hook(lambda g: g * 2)
    step(X)
    line = step.__wrapped__.__code__.co_firstlineno
    assert step.cache_info().reasons == (
        "first call",
        f"weight_decay of the optimizer 'opt', {__file__}:{line + 2}:9: 0 -> 0.1",
        f"config.scale, {__file__}:{line + 5}:20: 2.0 -> 3.0",
        "the hooks of weight: 0 -> 1",
    )


def test_guards_lists_what_is_relied_on():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    config = Settings(scales=[2.0, 3.0], name="a")

    @tg.jit
    def step(x):
        return net(x) * config.scales[1]

    step(X)
    lines = step.guards()
    line = step.__wrapped__.__code__.co_firstlineno + 2
    assert f"the contents of config.scales, {__file__}:{line}:25: (2.0, 3.0)" in lines
    assert any(g.startswith("weight of the module 'net.0'") for g in lines)
    assert any(g.startswith("training of the module 'net'") for g in lines) is False
    assert not any("name" in g for g in lines)  # nobody reads it


def test_a_value_that_is_made_anew_is_no_change():
    config = Settings(scale=0.5, limits=(1.0, 2.0), names=["a"])

    @tg.jit
    def step(x):
        return x * config.scale * config.limits[1] * len(config.names[0])

    for _ in range(4):
        step(X)
        config.scale, config.limits, config.names = float("0.5"), (1.0, float("2")), config.names
        config.names[0] = "".join(["a"])
    assert step.cache_info()[:2] == (3, 1)


def test_a_change_back_finds_the_form_of_before():
    config = Settings(scale=2.0)
    step = tg.jit(lambda x: x * config.scale)
    for scale in (2.0, 3.0, 2.0, 3.0):
        config.scale = scale
        assert step(X).tolist() == [scale, 2 * scale]
    assert step.cache_info()[:2] == (2, 2)


def test_what_it_does_not_read_makes_no_form():
    config = Settings(scale=2.0, calls=0, log=[])

    def step(x):
        return x * config.scale

    compiled = tg.jit(step)
    for _ in range(4):
        compiled(X)
        config.calls += 1
        config.log.append(config.calls)
        config.new = 1
    assert compiled.cache_info()[:2] == (3, 1)


def test_counting_and_appending_happen_only_when_it_is_traced():
    runs, counts, state = [], {"runs": 0}, Settings(runs=0)

    @tg.jit
    def step(x):
        runs.append(1)
        counts["runs"] += 1
        state.runs += 1
        return x * 2

    for _ in range(3):
        step(X)
    assert (len(runs), counts["runs"], state.runs) == (1, 1, 1)
    assert step.cache_info()[:2] == (2, 1)


def test_a_number_beside_tensors_is_told_from_those_that_equal_it():
    f = tg.jit(lambda x, n: x * (2.0 if type(n) is bool else 3.0) + np.copysign(1.0, n))
    for n, times, sign in ((True, 2, 1), (1, 3, 1), (1.0, 3, 1), (0.0, 3, 1), (-0.0, 3, -1)):
        np.testing.assert_array_equal(f(X, n).numpy(), X.numpy() * times + sign)
    for _ in range(3):
        f(X, float("nan"))
    assert f.cache_info().traces == 6  # a NaN is itself


def test_hooks_of_an_argument_select_the_form():
    seen = []

    @tg.jit
    def step(w):
        w.grad = None
        (w * w).sum().backward()

    w = tg.ones(2, requires_grad=True)
    step(w)
    handle = w.register_hook(lambda g: g * 3)
    for hooked in (True, False):
        step(w)
        seen.append(w.grad.tolist())
        if hooked:
            handle.remove()
    assert seen == [[6.0, 6.0], [2.0, 2.0]]


def test_a_compiled_method_sees_its_own_object():
    class Agent:
        scale = 2.0

        @tg.jit
        def step(self, x):
            return x * self.scale

    a, b = Agent(), Agent()
    assert a.step(X).tolist() == b.step(X).tolist() == [2.0, 4.0]
    a.scale = 3.0
    assert (a.step(X).tolist(), b.step(X).tolist()) == ([3.0, 6.0], [2.0, 4.0])
    Agent.scale = 4.0
    assert (a.step(X).tolist(), b.step(X).tolist()) == ([3.0, 6.0], [4.0, 8.0])


def test_a_place_that_is_gone_is_traced_anew_and_raises_as_python_does():
    config = Settings(scale=2.0)
    step = tg.jit(lambda x: x * config.scale)
    step(X)
    del config.scale
    with pytest.raises(AttributeError, match="scale"):
        step(X)
    config.scale = 3.0
    assert step(X).tolist() == [3.0, 6.0]


def test_a_function_that_changes_what_it_reads_is_traced_at_each_call():
    config = Settings(on=False)

    @tg.jit
    def step(x):
        config.on = not config.on
        return x * (2.0 if config.on else 3.0)

    assert [step(X).tolist()[0] for _ in range(5)] == [2.0, 3.0, 2.0, 3.0, 2.0]


# -- how many --------------------------------------------------------------------------------------


def test_the_number_of_forms_is_bounded_and_those_in_use_stay(monkeypatch):
    monkeypatch.setattr("tinygrad_rl.compiler.jitted.MAX_FORMS", 4)
    step = tg.jit(lambda x, k: x * k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = []
        for k in range(9):
            assert step(X, float(k)).tolist() == [k, 2.0 * k]
            files.append(step.file())
            assert step(X, 0.0).tolist() == [0.0, 0.0]
    info = step.cache_info()
    assert (info.forms, info.traces) == (4, 9)
    assert [f.exists() for f in files] == [True] + 5 * [False] + 3 * [True]
    assert step(X, 3.0).tolist() == [3.0, 6.0]  # dropped, and made anew
    assert MAX_FORMS == 64


def calls_with(argument):
    """A function that is called with another argument each time."""

    @tg.jit
    def scaled(x, factor):
        return x * (factor() if callable(factor) else factor)

    return [functools.partial(scaled, X, argument(k)) for k in range(20)]


def calls_with_place():
    config = Settings(rate=1.0)

    @tg.jit
    def scaled(x):
        return x * config.rate

    def call(k):
        config.rate = 1.0 / (k + 1)
        return scaled(X)

    return [functools.partial(call, k) for k in range(20)]


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        (lambda: calls_with(float), r"'scaled'.*argument 'factor'.*\(6.0, 7.0, 8.0\).*as a tensor"),
        (lambda: calls_with(lambda k: lambda: 2.0), r"argument 'factor'.*make the function once"),
        (lambda: calls_with(lambda k: tg.ones(k + 1, 1)), r"argument 'factor'.*shapes.*padding"),
        (calls_with_place, r"config\.rate, .*test_forms\.py:\d+:\d+ .*tensor.*assign_"),
    ],
    ids=["number", "function", "shape", "place"],
)
def test_what_makes_a_form_at_each_call_is_warned_about_once(calls, words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in calls():
            call()
    (warning,) = [str(w.message) for w in caught if "in a row" in str(w.message)]
    assert re.search(words, warning), warning


# -- who watches the trace -------------------------------------------------------------------------


def test_a_profiler_goes_on():
    events = []

    def profiler(frame, event, arg):
        events.append(frame.f_code.co_name)

    def traced(x):
        return x * 2

    sys.setprofile(profiler)
    try:
        tg.jit(traced)(X)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert "traced" in events


def test_a_profiler_in_c_goes_on():
    def after():
        pass

    profile = cProfile.Profile()
    profile.enable()
    tg.jit(lambda x: x * 2)(X)
    after()
    profile.disable()
    assert any(code is after.__code__ for code in [entry.code for entry in profile.getstats()])


def test_an_exception_in_a_trace_leaves_nothing_behind():
    rng = np.random.default_rng(0)
    weight = tg.ones(2, requires_grad=True)

    @tg.jit
    def step(x, fail):
        with tg.no_grad():
            weight.add_(1.0)
        if fail:
            raise KeyError("mine")
        return x * weight * rng.normal()

    before = rng.bit_generator.state
    with pytest.raises(KeyError, match="mine"):
        step(X, True)
    with pytest.raises(tg.TraceError, match=r"of rng, .*test_forms\.py:\d+"):
        step(X, False)
    assert weight.tolist() == [1.0, 1.0]
    assert rng.bit_generator.state == before
    assert sys.getprofile() is None


def test_a_file_that_is_named_like_a_standard_module_is_the_users(tmp_path, monkeypatch):
    (tmp_path / "antigravity.py").write_text("scale = 2.0\ndef step(x):\n    return x * scale\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    import antigravity

    step = tg.jit(antigravity.step)
    step(X)
    monkeypatch.setattr(antigravity, "scale", 3.0)
    assert step(X).tolist() == [3.0, 6.0]


def test_keys_of_an_argument_that_are_equal_are_not_the_same():
    f = tg.jit(lambda d: d[1] * (2 if next(iter(d)) is True else 3))
    x = tg.Tensor([1.0])
    assert [f({key: x}).item() for key in (1, True, 1.0, 1)] == [3, 2, 3, 3]


def test_an_argument_whose_attributes_would_be_lost_is_refused():
    class Batch(list):
        scale = 2.0

    batch = Batch([tg.Tensor([1.0])])
    f = tg.jit(lambda b: b[0] * b.scale)
    assert f(batch).item() == 2
    batch.scale = 3.0
    with pytest.raises(TypeError, match=r"type Batch is made anew .* \(scale\): pass these"):
        f(batch)


def test_a_tensor_from_outside_is_returned_itself_though_nothing_is_done_with_it():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    f = tg.jit(lambda x: (w, x))
    x = tg.Tensor([3.0])
    for _ in range(2):
        assert f(x)[0] is w and f(x)[1] is x
