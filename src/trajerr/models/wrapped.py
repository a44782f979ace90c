"""A network of somebody else's, between raw features and millimetres."""

from typing import Final

import torch
from torch import Tensor, nn

from trajerr.errors import ConfigError, in_one_line
from trajerr.models.inputs import N_FEATURES, Scaling

TRIED = (2, 5)  # windows and samples of the batch that a new network is tried with


class WrappedNetwork(nn.Module):
    """Any module from features to errors, both in standard deviations of the training data.

    Parameters
    ----------
    inner
        Takes [B, T, 15] and returns [B, T, 2]: ``error_x`` and ``error_y`` of each sample.
    context_length
        Samples after which a prediction has settled.

    Raises
    ------
    ConfigError
        ``inner`` returns anything else.
    """

    context_length: Final[int]

    def __init__(self, inner: nn.Module, context_length: int) -> None:
        super().__init__()
        self.context_length = context_length
        self.scaling = Scaling()
        self.inner = inner
        self._try()

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15]."""
        return self.scaling.to_mm(self.inner(self.scaling.normalize(features)))

    def _try(self) -> None:
        training = self.inner.training
        self.inner.eval()
        try:
            with torch.no_grad():
                found = self.inner(torch.zeros(*TRIED, N_FEATURES))
            shape = tuple(found.shape)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
            reason = in_one_line(error)
            raise ConfigError(
                f"model: forward of {[*TRIED, N_FEATURES]} fails: {reason}"
            ) from error
        finally:
            self.inner.train(training)
        if shape != (*TRIED, 2):
            raise ConfigError(
                f"model: forward of {[*TRIED, N_FEATURES]} got {list(shape)}, "
                f"expected {[*TRIED, 2]}: error_x and error_y of each sample"
            )
