"""SVG as it may stand in a page: nothing that runs, nothing that is fetched, and names of its own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ELEMENTS = set(
    "svg g defs path rect circle ellipse line polyline polygon text tspan use clipPath image linearGradient "
    "radialGradient stop pattern marker symbol title desc".split()
)


def inline(svg: bytes, label: str, prefix: str) -> str:
    """Return a drawing as an SVG element for a page.

    Only shapes, text and pictures that stand in the file itself are kept. Names of parts get a prefix, since those of
    two drawings may be the same.

    Args:
        svg: the file.
        label: what it shows, for those who do not see it.
        prefix: of names, one for each drawing of the page.

    Raises:
        ValueError: it is no SVG.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no SVG: {error}") from None
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError(f"it is no SVG, its element is {root.tag[:60]}")
    _clean(root, prefix)
    width, height = (root.attrib.pop(name, "").removesuffix("pt") for name in ("width", "height"))
    if "viewBox" not in root.attrib and width and height:
        root.set("viewBox", f"0 0 {width} {height}")
    root.set("role", "img")
    root.set("aria-label", label)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, prefix: str) -> None:
    for child in list(element):
        name = child.tag.removeprefix(f"{{{SVG}}}") if isinstance(child.tag, str) else ""
        if name in ELEMENTS and child.tag != name:
            _clean(child, prefix)
        else:
            element.remove(child)
    for name, value in list(element.attrib.items()):
        plain = name.removeprefix(f"{{{XLINK}}}")
        outside = plain == "href" and not value.startswith(("#", "data:image/png;base64,"))
        if outside or plain.startswith(("{", "on")) or re.search(r"url\(\s*[^#\s]|javascript:|@import", value):
            del element.attrib[name]
            continue
        if plain == "id":
            value = f"{prefix}-{value}"
        elif plain == "href" and value.startswith("#"):
            value = f"#{prefix}-{value[1:]}"
        else:
            value = re.sub(r"url\(\s*#", f"url(#{prefix}-", value)
        element.set(name, value)
