"""Names of variables and blocks as mathematics: s1 becomes s₁, ybar and ȳ a y with a bar, z_f a z with index f."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rllab.backprop.joins import Add, Concatenate, Copy, Max, Multiply
from rllab.backprop.order import Block

_ACCENTS = {"bar": "bar", "hat": "hat", "\u0304": "bar", "\u0302": "hat", "\u0303": "tilde"}
_ESCAPED = {sign: rf"\{sign}" for sign in "{}$%\\"}  # signs that mean something in a \text of mathtext
_SYMBOLS = {Add: "+", Multiply: r"\times", Max: r"\max", Concatenate: r"\mathrm{concat}", Copy: r"\mathrm{copy}"}


def symbol(name: str) -> str:
    """Return a name as TeX without the dollar signs; a word stands upright."""
    plain = unicodedata.normalize("NFD", name)
    letter = re.fullmatch(r"([^\W\d_])(bar|hat|[\u0302-\u0304])?_?(\d[\d_]*|(?<=_)\w+)?", plain)
    if letter:
        base, accent, index = letter.groups()
        base = rf"\{_ACCENTS[accent]}{{{base}}}" if accent else base
        return base + (f"_{{{index.strip('_').replace('_', ',')}}}" if index else "")
    if not plain.strip("_").strip():
        return r"\mathrm{" + r"\_" * len(plain) + "}"
    word, index = re.fullmatch(r"(.*?)_?(\d*)", plain, flags=re.DOTALL).groups()  # type: ignore[union-attr]
    upright = rf"\mathrm{{{_verbatim(word)}}}"
    return upright + (f"_{{{index}}}" if index else "")


def _verbatim(word: str) -> str:
    """Return a word as TeX shows it: underscores are blanks, and %, {, # and their kin stand for themselves."""
    plain = re.sub(r"[_\s]+", " ", unicodedata.normalize("NFC", word))
    literal = re.sub(r"[^\w ]", lambda sign: rf"\text{{{_ESCAPED.get(sign[0], sign[0])}}}", plain)
    return literal.replace(" ", r"\ ")


def is_letter(name: str) -> bool:
    """Whether a name is one letter, maybe with an index: then it is written as a function of its arguments."""
    return not symbol(name).startswith(r"\mathrm")


def weight_symbols(blocks: Sequence[Block]) -> dict[str, str]:
    """Return the TeX of the weights of each block that has its own: w, or w with the block's number or name."""
    owners = [block.name for block in blocks if block.module.size and block.shares is None]
    if len(owners) == 1:
        return {owners[0]: "w"}
    numbers = [re.sub(r"\D", "", name) for name in owners]
    numbered = all(numbers) and len(set(numbers)) == len(numbers)
    return {name: f"w_{{{number if numbered else symbol(name)}}}" for name, number in zip(owners, numbers, strict=True)}


def function_symbol(block: Block, weights: str | None) -> str:
    """Return the TeX of a block: + or ×, G(x, w), or its name."""
    if type(block.module) in _SYMBOLS and not is_letter(block.name):
        return _SYMBOLS[type(block.module)]
    if not is_letter(block.name):
        return symbol(block.name)
    arguments = [symbol(name) for name in block.reads] + ([weights] if weights else [])
    return symbol(block.name) + "(" + r",\,".join(arguments) + ")"
