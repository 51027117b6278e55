"""Text of the site can be read: its theme's colours meet WCAG 2.2, AA, in light and in dark."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

LEAST = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of ordinary size
TEXT = {  # variables of furo: what is written, and on what
    "background-primary": (
        *("foreground-primary", "foreground-secondary", "foreground-muted", "content-foreground"),
        *("link", "link--visited", "toc-item-text", "toc-title-text", "api-name", "api-paren", "api-keyword"),
    ),
    "sidebar-background": ("sidebar-link-text", "sidebar-caption-text", "sidebar-brand-text"),
    "inline-code-background": ("content-foreground",),
}


def luminance(color):
    """Return the relative luminance of #rgb or #rrggbb, as WCAG defines it."""
    digits = color.strip().removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    """Return (L1 + 0.05)/(L2 + 0.05), L1 being the lighter one's luminance."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colors(sheet, *selectors):
    """Return the variables that a sheet sets for these selectors, the later ones over the earlier ones."""
    found = {}
    for selector in selectors:
        for block in re.findall(rf"(?:^|\}}){re.escape(selector)}\{{([^{{}}]*)\}}", sheet):
            found |= dict(re.findall(r"--color-([\w-]+):\s*([^;}]+)", block))
    return found


def resolved(name, table):
    value = table[name]
    while match := re.fullmatch(r"var\(--color-([\w-]+)\)", value.strip()):
        value = table[match[1]]
    return value


@pytest.mark.parametrize("selectors", [["body"], ["body", "body[data-theme=dark]"]], ids=("light", "dark"))
def test_text_stands_out_from_what_it_is_written_on(selectors):
    if (furo := find_spec("furo")) is None or furo.origin is None:
        pytest.skip("needs furo")
    sheet = (Path(furo.origin).parent / "theme" / "furo" / "static" / "styles" / "furo.css").read_text("utf-8")
    assert "--color" not in (DOCS / "_static" / "site.css").read_text("utf-8").replace("var(--color", "")
    table = colors(sheet, *selectors)
    for ground, names in TEXT.items():
        for name in names:
            found = contrast(resolved(name, table), resolved(ground, table))
            assert found >= LEAST, f"{name} on {ground}: {found:.2f}"


def test_contrast_is_that_of_wcag():
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777", "#fff") < LEAST < contrast("#767676", "#fff")  # WCAG's own example of the least grey
