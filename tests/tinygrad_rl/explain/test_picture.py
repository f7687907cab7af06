"""The picture of an explanation: what is in it, and that nothing covers anything."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.explain.draw.graph import Graph
from tinygrad_rl.explain.draw.scene import Scene

RNG = np.random.default_rng(0)
ACTOR = tg.nn.MLP((3, 8, 8, 1), layer_norm=True, rng=RNG)
CRITIC = tg.nn.MLP((4, 8, 1), rng=RNG)
OBS = tg.Tensor(RNG.normal(size=(6, 3)).astype(np.float32))
OBS4 = tg.Tensor(np.ones((6, 4), np.float32))


def frozen():
    action = ACTOR(OBS).tanh()
    with tg.frozen(CRITIC):
        q = CRITIC(tg.concatenate([OBS, action], axis=1))
    return -q.mean()


def blocked():
    action = ACTOR(OBS).tanh()
    q = CRITIC(tg.concatenate([OBS, action.detach()], axis=1))
    return -q.mean()


def words(svg):
    return [t.text for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def graph(fn, detail):
    e = tg.explain(fn)
    return Graph(e.flow, e.leaves, detail)


def test_svg_stands_alone():
    root = ET.fromstring(tg.explain(frozen).svg())
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "rect", "path", "text"}
    assert "href" not in tg.explain(frozen).svg()


def test_one_box_for_each_layer():
    boxes = {b.title: b for b in graph(frozen, "layer").boxes}
    assert boxes["ACTOR.0"].subtitle == "linear 3 → 8, layer norm, relu"
    assert [c.name for c in boxes["CRITIC.0"].chips] == ["weight", "bias"]
    assert {c.kind for c in boxes["CRITIC.0"].chips} == {"frozen"}
    assert "mean, neg" in boxes


def test_a_function_of_several_ops_that_keeps_the_shape_belongs_to_the_layer_before():
    w = tg.Tensor(RNG.normal(size=(3, 5)), requires_grad=True)
    boxes = {b.title: b for b in graph(lambda: tg.softmax(OBS @ w, 1).sum(), "layer").boxes}
    assert set(boxes) >= {"matmul 3 → 5", "sum"}
    assert boxes["matmul 3 → 5"].subtitle == "softmax"


def test_forward_called_by_hand_is_the_module_all_the_same():
    assert "CRITIC" in {b.title for b in graph(lambda: CRITIC.forward(OBS4).mean(), "module").boxes}


def test_one_box_for_each_network():
    boxes = {b.title: b for b in graph(frozen, "module").boxes}
    assert boxes["ACTOR"].subtitle == "3 → 8 → 8 → 1"
    assert len(boxes["ACTOR"].chips) == 10
    assert len(boxes) == 7  # OBS, ACTOR, tanh, concatenate, CRITIC, mean and neg, the loss


def test_one_box_for_each_op():
    boxes = [b.title for b in graph(frozen, "op").boxes]
    assert boxes.count("linear") == 5
    assert "ACTOR.1.weight" in boxes


def test_unknown_detail_is_refused():
    with pytest.raises(ValueError, match="'op', 'layer' or 'module'"):
        tg.explain(frozen).svg("all")


def arrow(g, source, target):
    (found,) = [a for a in g.arrows if (a.source.title, a.target.title) == (source, target)]
    return found


def test_gradient_runs_through_the_frozen_critic_with_its_norm():
    g = graph(frozen, "module")
    into_action = arrow(g, "concatenate", "CRITIC")
    assert into_action.live
    (dq,) = tg.grad(frozen(), ACTOR[6].bias)
    assert dq.item() != 0
    assert arrow(g, "CRITIC", "mean, neg").norm == pytest.approx(6**-0.5)  # 1/6 in each of 6 rows


def test_cut_is_drawn_where_it_is():
    g = graph(blocked, "module")
    cut = arrow(g, "tanh", "stop_gradient").cut
    assert cut.kind == "detached"
    assert [a for a in g.arrows if a.cut] == [arrow(g, "tanh", "stop_gradient")]
    svg = words(tg.explain(blocked).svg())
    assert "detached" in svg
    assert any(re.fullmatch(r".*test_picture\.py:\d+", w) for w in svg)


def test_kinds_of_lines_differ_in_more_than_colour():
    """Without the colours, dashes and signs still tell gradient, cut and forward apart."""
    svg = re.sub(r"#[0-9a-f]{6}", "", tg.explain(blocked).svg())
    assert 'stroke-dasharray="7 4"' in svg  # the gradient
    assert 'stroke-dasharray="1.8 3.6"' in svg  # the cut
    assert {"forward", "gradient", "cut", "frozen"} <= {
        w for text in words(svg) for w in re.split(r"\W+", text)
    }


def test_frozen_parameters_say_so():
    assert "weight  frozen" in words(tg.explain(frozen).svg())
    assert "weight  frozen" not in words(tg.explain(blocked).svg())


def test_zero_gradient_is_not_drawn_as_one():
    w = tg.Tensor([[0.5], [1.5]], requires_grad=True)
    assert "∇ 0 exactly" in words(tg.explain(lambda: (tg.relu(w - 9.0) * 2).sum()).svg())


def test_text_is_escaped():
    scene = Scene(100, 20, "a < b")
    scene.text(50, 10, "x & y < z", 12, "#000000")
    assert words(scene.to_svg()) == ["x & y < z"]


def test_png_has_the_size_of_the_svg():
    scene = Scene(120, 80)
    scene.rect(10, 10, 50, 30, radius=4, stroke="#000000", dash=(3, 2))
    png = scene.to_png(scale=2)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (240, 160)


def test_files(tmp_path):
    e = tg.explain(frozen)
    e.save(tmp_path / "a.svg", detail="module")
    assert (tmp_path / "a.svg").read_text("utf-8") == e.svg("module")
    e.save(tmp_path / "a.png", detail="module")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert e._repr_svg_() == e.svg()
    with pytest.raises(ValueError, match=r"\.svg or \.png, not '\.pdf'"):
        e.save(tmp_path / "a.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.svg"]


def test_a_parameter_that_is_frozen_in_one_call_only():
    """The critic learns in its own loss and is frozen in the actor's: each box says its own."""

    def update():
        CRITIC(tg.concatenate([OBS, OBS[:, :1]], axis=1)).mean().backward(retain_graph=True)
        frozen().backward()

    chips = [b.chips[0] for b in graph(update, "layer").boxes if b.title == "CRITIC.0"]
    assert sorted(c.status for c in chips) == ["frozen", "reached"]


def test_the_arrow_at_the_result_carries_the_gradient_that_was_given():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        (w * 3.0).backward(np.array([3.0, 4.0], np.float32))

    assert "∇ 5<" in tg.explain(loss).svg()


def test_what_the_engine_refuses_is_drawn_without_norms():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        h = w * 2.0
        out = (h * h).sum()
        with tg.no_grad():
            h.assign_(h + 1.0)
        return out

    e = tg.explain(loss)
    assert "changed in place" in e.error
    said = words(e.svg())
    assert "refused" in said
    assert not any("∇" in word for word in said)


def test_a_result_that_nothing_made_is_an_empty_picture():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    assert "w" not in words(tg.explain(lambda: w).svg())


def test_frozen_and_cut_off_parameters_differ_without_colors():
    """Hatched is what is frozen; the legend hatches one field in every picture."""
    hatching = [tg.explain(fn).svg("module").count('stroke="#9aa3af"') for fn in (frozen, blocked)]
    assert hatching[0] > hatching[1] > 0


def test_a_module_is_drawn_with_its_own_constants_inside():
    class Scaled(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = tg.nn.Linear(3, 2, rng=RNG), tg.Tensor([1.0, 2.0])

        def forward(self, x):
            return self.layer(x) * self.scale

    net = Scaled()
    outside = {b.title for b in graph(lambda: net(OBS).sum(), "module").boxes if b.kind == "data"}
    assert outside == {"OBS"}
    drawn = {b.title for b in graph(lambda: net(OBS).sum(), "layer").boxes if b.kind == "data"}
    assert drawn == {"OBS", "net.scale"}
