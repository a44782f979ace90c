from .collection_plots import planned_layer as planned_layer
from .correction_plots import comparison as comparison
from .correction_plots import corner as corner
from .path_plots import path_map as path_map
from .plots import sequence_prediction as sequence_prediction
from .style import new_figure as new_figure
from .style import save_figure as save_figure
from .style import styled as styled
