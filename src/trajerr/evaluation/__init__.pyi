from .assess import EvaluateSettings as EvaluateSettings
from .baselines import fit_fir as fit_fir
from .baselines import measure_noise_floor as measure_noise_floor
from .prediction import Layers as Layers
from .prediction import Prediction as Prediction
from .prediction import lay_out as lay_out
from .prediction import predict as predict
from .prediction import predict_sequences as predict_sequences
