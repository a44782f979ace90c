from .manifest import Bundle as Bundle
from .manifest import open_bundle as open_bundle
from .runtime import LayerPrediction as LayerPrediction
from .runtime import Predictor as Predictor
from .streaming import StreamingPredictor as StreamingPredictor
