"""The LSTM of the recurrent networks, in a form that every export keeps dynamic.

``nn.LSTM`` is unrolled by ``torch.export``, which fixes the time axis, and translated to
ONNX with the batch of the example. Here an ONNX export writes the LSTM operator itself,
with batch and time free; everything else is ``nn.LSTM``.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]


class Recurrence(nn.Module):
    """A stack of LSTM layers over sequences, with explicit state.

    Hochreiter & Schmidhuber, Long short-term memory, Neural Computation 9 (1997), with
    forget gates (Gers et al., 2000).

    Parameters
    ----------
    input_size, hidden_size, num_layers
        Sizes of the stack.
    dropout
        Between layers, in training only.
    """

    num_layers: Final[int]
    hidden_size: Final[int]

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self._remember_long()

    def forward(
        self, inputs: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over a sequence.

        Parameters
        ----------
        inputs
            [B, T, input_size].
        hidden, cell
            [num_layers, B, hidden_size], the state before the first sample.

        Returns
        -------
        tuple[Tensor, Tensor, Tensor]
            Outputs [B, T, hidden_size], hidden and cell state after the last sample.
        """
        if not is_scripting():
            if torch.onnx.is_in_onnx_export():
                return self._onnx_operator(inputs, hidden, cell)
            if torch.compiler.is_exporting():
                return self._scan(inputs, hidden, cell)
        outputs, (hidden, cell) = self.lstm(inputs, (hidden, cell))
        return outputs, hidden, cell

    def _remember_long(self) -> None:
        """Start with open forget gates (Jozefowicz et al., 2015): friction is long memory."""
        for layer in range(self.num_layers):
            bias = getattr(self.lstm, f"bias_ih_l{layer}")
            with torch.no_grad():
                bias[self.hidden_size : 2 * self.hidden_size].fill_(1.0)

    @torch.jit.unused
    def _scan(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run as scans, which keep the time axis of an exported program dynamic."""
        from torch._higher_order_ops.scan import scan

        sequence = inputs.transpose(0, 1)
        last_hidden, last_cell = [], []
        for layer in range(self.num_layers):
            weights = [getattr(self.lstm, f"weight_{kind}_l{layer}") for kind in ("ih", "hh")]
            biases = [getattr(self.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]

            def advance(
                carry: tuple[Tensor, Tensor],
                sample: Tensor,
                recurrent: Tensor = weights[1],
            ) -> tuple[tuple[Tensor, Tensor], Tensor]:
                after = _cell(sample + carry[0] @ recurrent.T, carry[1])
                return after, after[0].clone()

            driven = nn.functional.linear(sequence, weights[0], biases[0] + biases[1])
            start = (hidden[layer].clone(), cell[layer].clone())
            (final_hidden, final_cell), sequence = scan(advance, start, driven)
            last_hidden.append(final_hidden)
            last_cell.append(final_cell)
        return sequence.transpose(0, 1), torch.stack(last_hidden), torch.stack(last_cell)

    @torch.jit.unused
    def _onnx_operator(
        self, inputs: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        sequence = inputs.transpose(0, 1)
        last_hidden, last_cell = [], []
        for layer in range(self.num_layers):
            start = (hidden[layer : layer + 1], cell[layer : layer + 1])
            sequence, final_hidden, final_cell = self._onnx_layer(sequence, layer, *start)
            last_hidden.append(final_hidden)
            last_cell.append(final_cell)
        return sequence.transpose(0, 1), torch.cat(last_hidden), torch.cat(last_cell)

    def _onnx_layer(
        self, sequence: Tensor, layer: int, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Write one LSTM operator (ONNX opset 14, layout 0); gates i f g o become i o f g."""
        weights = [getattr(self.lstm, f"weight_{kind}_l{layer}") for kind in ("ih", "hh")]
        biases = [getattr(self.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        bias = torch.cat([_onnx_gates(value) for value in biases]).unsqueeze(0)
        steps, batch = sequence.shape[0], sequence.shape[1]
        outputs, final_hidden, final_cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (sequence, *(_onnx_gates(w).unsqueeze(0) for w in weights), bias, None, hidden, cell),
            {"hidden_size": self.hidden_size},
            dtypes=[sequence.dtype] * 3,
            shapes=[(steps, 1, batch, self.hidden_size), hidden.shape, cell.shape],
        )
        return outputs.squeeze(1), final_hidden, final_cell


def _cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden and cell state [B, H] after the gates' sums [B, 4 H], ordered i f g o."""
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _onnx_gates(weights: Tensor) -> Tensor:
    """Reorder rows grouped as i f g o (PyTorch) to i o f g (ONNX)."""
    size = weights.shape[0] // 4
    return torch.cat([weights[:size], weights[3 * size :], weights[size : 3 * size]])
