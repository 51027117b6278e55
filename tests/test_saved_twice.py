"""A figure is laid out and measured once for its two files; the SVG is the one that matplotlib crops by itself."""

from rllab import plots


def test_the_svg_beside_a_png_is_cropped_as_matplotlib_crops_it(tmp_path):
    figure, (left, right) = plots.panels(2)
    left.loglog([1, 10, 1000], [3e-3, 1, 50], label="a curve with a long name that the legend holds")
    left.set_xlabel("$\\sigma$")
    left.annotate("outside", (10, 1), xytext=(-90, 40), textcoords="offset points")
    right.set_title("A title")
    figure.legend(loc="outside lower center")
    figure.suptitle("All of it")
    plots.save(figure, tmp_path / "figure.png")
    figure.set_layout_engine("none")
    assert (tmp_path / "figure.svg").read_bytes() == plots.as_svg(figure)
