"""The Whipple bicycle against the published digits: coefficients, eigenvalues, weave and capsize speed; exact steps."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.linalg import expm

from rllab_envs.whipple import Parameters, critical_speeds, eigenvalues, matrices, transition
from rllab_envs.whipple.dynamics import rates

# Meijaard et al. (2007): equation 5.2 and table 2; weave pair or two real ones, capsize, castering, in 1/s, by speed
MASS = [[80.81722, 2.31941332208709], [2.31941332208709, 0.29784188199686]]
STIFFNESS = [[-80.95, -2.59951685249872], [-2.59951685249872, -0.80329488458618]]
SPEED_STIFFNESS = [[0, 76.59734589573222], [0, 2.65431523794604]]
DAMPING = [[0, 33.86641391492494], [-0.85035641456978, 1.68540397397560]]
MODES = {
    0: (3.131643247906556, -3.131643247906556, 5.530943717653935, -5.530943717653935),
    1: (3.526961709900694 + 0.807740275199310j, -3.134231250665784, -7.110080146374408),
    2: (2.682345175127453 + 1.680662965906758j, -3.071586456415143, -8.673879848317372),
    3: (1.706756056639735 + 2.315824473843244j, -2.633661372536653, -10.35101467245923),
    4: (0.413253315211241 + 3.079108186032054j, -1.429444273613257, -12.15861426576444),
    5: (-0.775341882195842 + 4.464867713788225j, -0.322866429004087, -14.07838969279825),
    6: (-1.526444865841417 + 5.876730605987084j, -0.004066900769703, -16.08537123098028),
    7: (-2.138756442583634 + 7.195259133298043j, 0.102681705747664, -18.15788466125202),
    8: (-2.693486835810948 + 8.460379713969336j, 0.143278797657130, -20.27940894394566),
    9: (-3.216754022524907 + 9.693773515317822j, 0.157901840309173, -22.43788559040859),
    10: (-3.720168404372876 + 10.90681139476288j, 0.161053386531716, -24.62459635017400),
}
PHYSICAL = [field.name for field in fields(Parameters)][:24]  # those of table 1


def test_the_coefficients_are_the_published_ones():
    m = matrices()
    for found, published in (
        (m.mass, MASS), (m.stiffness, STIFFNESS), (m.speed_stiffness, SPEED_STIFFNESS), (m.damping, DAMPING)
    ):  # fmt: skip
        np.testing.assert_allclose(found, published, rtol=2e-14, atol=1e-14)  # 14 decimals are printed


@pytest.mark.parametrize("speed", MODES)
def test_the_eigenvalues_are_the_published_ones(speed):
    published = [*MODES[speed], *(m.conjugate() for m in MODES[speed] if isinstance(m, complex))]
    found = eigenvalues(float(speed))
    # some 15 digits are printed; a double-precision eigenvalue is off by a few roundings of the largest
    np.testing.assert_allclose(found, np.sort_complex(np.array(published, complex)), rtol=0, atol=1e-13 * 25)


def test_weave_and_capsize_speeds_are_the_published_ones_and_bound_what_rides_by_itself():
    weave, capsize = critical_speeds()
    assert abs(weave - 4.29238253634111) < 1e-12 and abs(capsize - 6.02426201538836) < 1e-12
    for speed, stable in ((weave - 1e-6, False), (weave + 1e-6, True), (capsize - 1e-6, True), (capsize + 1e-6, False)):
        assert (eigenvalues(speed).real.max() < 0) == stable


@pytest.mark.parametrize("name", PHYSICAL)
def test_every_published_constant_counts(name):
    # a constant wrong in its sixth digit is a mistake that the published digits show
    p = Parameters()
    wrong = replace(p, **{name: getattr(p, name) * (1 + 1e-5)})
    assert np.abs(np.sort_complex(eigenvalues(5.0, wrong)) - eigenvalues(5.0)).max() > 1e-9


@pytest.mark.parametrize("speed", (0.0, 10 / 3.6, 5.0, 10.0))
def test_a_step_is_exact_for_a_torque_that_is_held(speed):
    a, b = rates(speed)
    block = np.zeros((6, 6))
    block[:4, :4], block[:4, 4:] = a, b
    a_d, b_d = transition(speed)
    whole = expm(0.01 * block)
    # of numbers up to one, a few roundings
    np.testing.assert_allclose(np.concatenate((a_d, b_d), 1), whole[:4], rtol=0, atol=1e-14)
    # a hundred steps are one second of the free motion
    np.testing.assert_allclose(np.linalg.matrix_power(a_d, 100), expm(a), rtol=1e-11, atol=1e-11)
    # ẋ = A x + B f at the start: a difference quotient, off by a half time step
    assert np.abs((a_d - np.eye(4)) / 0.01 - a).max() <= 0.01 * np.abs(a @ a).max()


def test_what_is_kept_cannot_be_changed():
    for array in (*transition(3.0), matrices().mass):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        ({"m_b": -1.0}, "m_b must be finite and positive"),
        ({"x_h": math.inf}, "x_h must be"),
        ({"r_f": 0.0}, "r_f must be"),
    ),
)
def test_bad_constants_are_named(arguments, says):
    with pytest.raises(ValueError, match=f"Parameters: {says}"):
        Parameters(**arguments)
