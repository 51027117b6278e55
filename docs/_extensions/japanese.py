"""Japanese terms are said to be Japanese, `lang="ja"`: browsers set them in Japanese forms, and read them aloud."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

JAPANESE = re.compile("([\u3001-\u30ff\u3400-\u9fff\uff01-\uff60]+)")
AS_IT_STANDS = (nodes.literal, nodes.literal_block, nodes.raw, nodes.comment)


class Japanese(SphinxTransform):
    """Put what is Japanese in text and headings into a span of its own."""

    default_priority = 600

    def apply(self) -> None:
        """Split the texts; docutils writes the class `language-ja` as the attribute `lang`."""
        for text in list(self.document.findall(nodes.Text)):
            parent = text.parent
            if parent is None or isinstance(parent, AS_IT_STANDS) or not JAPANESE.search(text):
                continue
            parts = enumerate(JAPANESE.split(text))
            parent.replace(
                text,
                [
                    nodes.inline("", part, classes=["language-ja"]) if i % 2 else nodes.Text(part)
                    for i, part in parts
                    if part
                ],
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(Japanese)
    return {"parallel_read_safe": True}
