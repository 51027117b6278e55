"""The bicycle of Randløv & Alstrøm (ICML 1998): pure batched dynamics."""

from .dynamics import start as start
from .dynamics import step as step
from .parameters import Parameters as Parameters
