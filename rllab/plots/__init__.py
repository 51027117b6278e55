"""Plots: learning curves of recorded runs and reports of quality, in one style; only what is drawn loads matplotlib.

Functions take an `ax` and return it. A method has one colour, line and marker everywhere. In grey, methods of a figure
differ by line and marker together: there are four lines, so that of two methods the line alone may be the same.
"""

from rllab.plots.learning_curves import AXES as AXES
from rllab.plots.learning_curves import curves as curves
from rllab.plots.names import name_lines as name_lines
from rllab.plots.reports import quality as quality
from rllab.plots.run_panels import overview as overview
from rllab.plots.styles import BLACK as BLACK
from rllab.plots.styles import BLUE as BLUE
from rllab.plots.styles import COLOURS as COLOURS
from rllab.plots.styles import DASHDOT as DASHDOT
from rllab.plots.styles import DASHED as DASHED
from rllab.plots.styles import DOTTED as DOTTED
from rllab.plots.styles import GREEN as GREEN
from rllab.plots.styles import LINES as LINES
from rllab.plots.styles import MARKERS as MARKERS
from rllab.plots.styles import METHODS as METHODS
from rllab.plots.styles import ORANGE as ORANGE
from rllab.plots.styles import PURPLE as PURPLE
from rllab.plots.styles import SKY as SKY
from rllab.plots.styles import SOLID as SOLID
from rllab.plots.styles import STYLE as STYLE
from rllab.plots.styles import VERMILLION as VERMILLION
from rllab.plots.styles import MethodStyle as MethodStyle
from rllab.plots.styles import as_label as as_label
from rllab.plots.styles import as_svg as as_svg
from rllab.plots.styles import method_styles as method_styles
from rllab.plots.styles import panels as panels
from rllab.plots.styles import save as save
from rllab.plots.styles import style as style
from rllab.plots.styles import variant_styles as variant_styles
from rllab.runs.series import MOST_CURVES as MOST_CURVES
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
