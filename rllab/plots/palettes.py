"""Pictures of few colours, in which a thin line keeps its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def reduced(image: Image.Image, *, frequent: int = 32, far_apart: int = 32) -> Image.Image:
    """Return a picture of few colours: the most frequent as they are, others at the nearest.

    Args:
        image: in RGB.
        frequent: how many colours are those of most pixels: grounds, bands, a pale grid.
        far_apart: how many are taken as far from each other as the picture has them. Pillow's own choice, the median
            cut, gives its colours to what covers most pixels, and a thin line the colour of another.

    Returns:
        The picture with a palette of at most frequent + far_apart colours.
    """
    from PIL import Image

    numbers = np.asarray(image, np.int64) @ (1 << 16, 1 << 8, 1)
    found, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    apart = image.quantize(far_apart, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    most = _channels(found[np.argsort(-counts, kind="stable")[:frequent]])
    palette = np.concatenate((most, np.reshape(apart, (-1, 3))))
    parts = np.array_split(_channels(found), 1 + len(found) // 4096)  # a photograph has as many colours as pixels
    nearest = np.concatenate([((part[:, None] - palette) ** 2).sum(-1).argmin(1) for part in parts])
    picture = Image.fromarray(nearest.astype(np.uint8)[which].reshape(numbers.shape))
    picture.putpalette(palette.astype(np.uint8).ravel().tolist())
    return picture


def _channels(numbers: np.ndarray) -> np.ndarray:
    """Return red, green and blue (n, 3) of colours written as one number each."""
    return np.stack((numbers >> 16, numbers >> 8 & 255, numbers & 255), -1)
