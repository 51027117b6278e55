"""Docstrings are plain text, and are made into what Sphinx reads without a character taken for markup."""

import importlib.util

from tests.docs.pages import DOCS

SPEC = importlib.util.spec_from_file_location("docstrings", DOCS / "_extensions" / "docstrings.py")
docstrings = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docstrings)

TEXT = """Estimate |x|, a*b and x_ of `f_`, **biased**.

    y = |x|

Args:
    a: first, 2*a
        and on.

Returns:
    A number: its mean.

Source: Somebody (2016), "A title", without
a second line indented.

## State
| # | symbol |
|---|--------|
| 0 | |x|    |

## Reward
Minus x_, every step.

Example:
    a = 1

    b = 2
"""


def rendered(of_class):
    return "\n".join(docstrings.rendered(TEXT.split("\n"), of_class))


def test_no_character_of_the_text_is_markup_but_code_and_bold_are():
    assert rendered(True).startswith("Estimate \\|x\\|, a\\*b and x\\_ of `f_`, **biased**.")


def test_equations_and_tables_are_set_as_they_stand():
    text = rendered(True)
    assert ".. rubric:: Reward\n\nMinus x\\_, every step.\n" in text
    assert ".. code-block:: text\n\n        y = |x|\n" in text
    assert (
        ".. rubric:: State\n\n.. code-block:: text\n\n    | # | symbol |\n    |---|--------|\n    | 0 | |x|    |"
        in text
    )


def test_an_example_is_one_block_of_code():
    assert rendered(True).rstrip().endswith(".. code-block:: python\n\n    a = 1\n\n    b = 2")


def test_sections_keep_their_text_together():
    assert "Args:\n    a: first, 2\\*a\n        and on.\n" in rendered(True)
    assert 'Source:\n    Somebody (2016), "A title", without\n    a second line indented.\n' in rendered(True)


def test_what_a_class_returns_it_returns_when_called():
    assert "**Returns, when called**\n\nA number: its mean." in rendered(True)
    assert ":returns:\n    A number: its mean." in rendered(False)
