"""What a reader sees of a figure: the names that stand in it."""

from matplotlib.text import Annotation


def names_at_ends(ax):
    """Return the names that stand at the ends of lines, as they were before they were broken."""
    return [text.get_text().replace("\n", " ") for text in ax.texts if isinstance(text, Annotation)]


def names_in_legend(ax):
    legend = ax.get_legend()
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()] if legend is not None else []


def names_shown(ax):
    return names_at_ends(ax) + names_in_legend(ax)
