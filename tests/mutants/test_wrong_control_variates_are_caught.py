"""Control variates with one mistake each; the proofs of the right ones must fail every one of them."""

from dataclasses import replace

import pytest
import torch

from rllab.estimators import Lax, MuProp, Relax
from rllab.estimators.control_variates import conditional, muprop, rebar, relax
from rllab.estimators.control_variates.state import ControlVariateState
from rllab.estimators.control_variates.surrogate import Surrogate
from rllab.estimators.control_variates.surrogate_control import SurrogateControl
from tests.proofs import controls

_control, _draw, _after = conditional.control, conditional.draw_both, ControlVariateState.update
_of_lax, _value_and_slope, _fold = Lax._contributions, Surrogate.value_and_slope, SurrogateControl._fold
_fold_of_muprop, _c = MuProp._fold, Relax.control_variate


def noise_detached(at, x, z_given, h):
    """∂z̃/∂l = 1, as if z̃ − l were noise that knows nothing of l."""
    return h


def _same_noise(query, a, b, i):
    x, z, _ = _draw(query, a, b, i)
    return x, z, z


def _without_the_choice(at, x, z, h):
    top = z.amax(-1, keepdim=True)
    return -torch.expm1(z - top) * h


def _unsigned(at, x, z, h):
    return -torch.expm1(-z.abs()) * torch.sigmoid(at.logits) * h


def _scale_of_the_mean(self, w, at, block, f):
    r = _of_lax(self, w, at, block, f)
    _, slope = self._network(at).value_and_slope(w, block.noise)
    return {**r, "scale": r["scale"] - slope / at.scale * (block.noise - 1)}


def _slope_not_scaled(self, w, at, block, f):
    r = _of_lax(self, w, at, block, f)
    _, slope = self._network(at).value_and_slope(w, block.noise)
    return {
        name: part + slope * (1 - 1 / at.scale) * (block.noise if name == "scale" else 1) for name, part in r.items()
    }


def _slope_of_a_line(self, phi, y):
    c, _ = _value_and_slope(self, phi, y)
    w = phi[..., : self.hidden * self.n].unflatten(-1, (self.hidden, self.n))
    return c, (phi[..., -1 - self.hidden : -1].unsqueeze(-2) @ w).squeeze(-2).expand_as(y)


def _learned_first(self, query, answered, per_unit, errors):
    answered = list(answered)
    state = _fold(self, query, answered, per_unit, errors).state
    return replace(_fold(self, replace(query, state=state), answered, per_unit, errors), state=state)


def _in_place(self, slopes, lr):
    self.values.copy_(_after(self, slopes, lr).values)
    return self


def _value_at_the_mean_dropped(self, query, answered, per_unit, errors):
    def changed():
        for block, (f, g) in answered:
            f = f.clone()
            if block.rows.start == 0:
                f[0] = 0
            yield block, (f, g)

    return _fold_of_muprop(self, query, changed(), per_unit, errors)


def _temperature_dropped(self, phi, at, z):
    c, h = _c(self, phi, at, z)
    return c, h * phi[..., -1:].exp()


MUTANTS = {
    "noise of z̃ detached": (conditional, "pull_back_given", noise_detached, controls.prove_rebar),
    "noise of z̃ detached, learned": (conditional, "pull_back_given", noise_detached, controls.prove_relax),
    "noise of z̃ detached, choice": (conditional, "pull_back_given", noise_detached, controls.prove_choices),
    "P(1) in the place of P(x)": (conditional, "pull_back_given", _unsigned, controls.prove_relax),
    "choice without its normaliser": (conditional, "pull_back_given", _without_the_choice, controls.prove_choices),
    "z̃ is z": (rebar, "draw_both", _same_noise, controls.prove_rebar_variances),
    "score term added": (
        rebar,
        "control",
        lambda at, x, z, c, h, g: _control(at, x, z, -c, h, g),
        controls.prove_rebar,
    ),
    "slopes dropped": (
        relax,
        "control",
        lambda at, x, z, c, h, g: _control(at, x, z, c, 0 * h, 0 * g),
        controls.prove_relax,
    ),
    "path of z̃ dropped": (
        relax,
        "control",
        lambda at, x, z, c, h, g: _control(at, x, z, c, h, 0 * g),
        controls.prove_relax,
    ),
    "1/λ dropped": (
        rebar,
        "pull_back",
        lambda at, z, g, _pull=rebar.pull_back: 0.5 * _pull(at, z, g),
        controls.prove_rebar,
    ),
    "1/τ dropped": (Relax, "control_variate", _temperature_dropped, controls.prove_relax),
    "slope of another function": (Surrogate, "value_and_slope", _slope_of_a_line, controls.prove_relax),
    "slope's own dependence on φ ignored": (
        relax,
        "control",
        lambda at, x, z, c, h, g: _control(at, x, z, c, h.detach(), g),
        controls.prove_slope_of_the_square,
    ),
    "φ moved before the estimate": (Relax, "_fold", _learned_first, controls.prove_used_as_given),
    "state written over": (ControlVariateState, "update", _in_place, controls.prove_used_as_given),
    "∂x/∂s = 1": (Lax, "_contributions", _scale_of_the_mean, controls.prove_lax),
    "slope by u for that by x": (Lax, "_contributions", _slope_not_scaled, controls.prove_lax),
    "mean of the expansion dropped": (muprop, "pull_back", lambda at, z, g: 0 * g, controls.prove_muprop),
    "f(p) not subtracted": (MuProp, "_fold", _value_at_the_mean_dropped, controls.prove_muprop),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_control_variate_is_caught(mistake, monkeypatch):
    owner, name, wrong, proof = MUTANTS[mistake]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError):
        proof(controls.PROOFS[proof])
