"""Windows as trained, layers as deployed: what each sees, and that batching changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trajerr.dataset.store import open_split
from trajerr.errors import DataError
from trajerr.evaluation import baselines
from trajerr.evaluation import prediction as predict
from trajerr.models.registry import build_network
from trajerr.training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def split(prepared: Path):
    return open_split(prepared, "test")


@pytest.fixture(scope="module")
def lstm(checkpoints):
    return load_checkpoint(checkpoints["lstm"]).network


class Counter(torch.nn.Module):
    """Outputs how many samples it has seen: shows what is carried on, and what is not."""

    context_length = 5

    def forward(self, features):
        count = torch.arange(1.0, features.shape[1] + 1)
        return count[None, :, None].expand(len(features), -1, 2)

    def initial_state(self, batch):
        return torch.zeros(batch)

    def stream(self, features, state):
        error = self.forward(features) + state[:, None, None]
        return error, state + features.shape[1]


def test_windows_begin_anew_and_layers_carry_on(split):
    windows = predict.cut_windows(split)
    found = predict.predict(Counter(), split, windows)
    np.testing.assert_array_equal(
        found.windows[:, :, 0], np.tile(np.arange(1, 129), (len(windows.row), 1))
    )
    expected = np.concatenate([np.arange(1, len(s) + 1) for s in split.sequences])
    np.testing.assert_array_equal(found.layers[:, 1], expected)


def test_streaming_in_any_pieces_equals_the_whole(split, lstm):
    features = split.sequences[0].features[None, :700]
    with torch.inference_mode():
        whole = lstm(features)
        for chunk in (1, 64, 699, 4096):
            pieces = predict.predict_streams(lstm, features, chunk)
            torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=1e-5)


def test_sequences_together_equal_sequences_alone(split, lstm):
    together = predict.predict_sequences(lstm, split)
    for sequence, predicted in zip(split.sequences, together, strict=True):
        with torch.inference_mode():
            alone = predict.predict_streams(lstm, sequence.features[None])[0]
        np.testing.assert_allclose(predicted, alone.numpy(), atol=1e-6)


def test_a_network_without_memory_sees_its_context(split, checkpoints):
    network = load_checkpoint(checkpoints["fir"]).network
    torch.manual_seed(1)
    with torch.no_grad():
        network.weight.normal_()
    features = split.sequences[1].features[None]
    with torch.inference_mode():
        whole = network(features)
        torch.testing.assert_close(predict.predict_streams(network, features, 100), whole)


def test_batched_windows_equal_single_ones(split, lstm):
    windows = predict.cut_windows(split, stride=97)
    batched = predict.predict_windows(lstm, split.sequences, windows, 7)
    single = predict.predict_windows(lstm, split.sequences, windows, 1)
    np.testing.assert_allclose(batched, single, atol=1e-6)


def test_windows_are_cuts_of_one_sequence_each(split):
    windows = predict.cut_windows(split, stride=50)
    layers = predict.lay_out(split)
    cut = windows.cut(layers.target)
    for k in range(0, len(cut), 11):
        owner = split.sequences[windows.sequence[k]]
        start = windows.start[k]
        np.testing.assert_array_equal(cut[k], owner.targets[start : start + 128].numpy())


def test_a_layers_variants_are_one_cluster(split):
    layers = predict.lay_out(split)
    names = {(p, n) for p, n in zip(layers.part, layers.layer, strict=True)}
    assert len(layers.spans) == 2 * len(names)
    assert len(np.unique(layers.cluster)) == len(names)
    for i, span in enumerate(layers.spans):
        assert np.all(layers.sequence[span] == i)
        assert span.stop - span.start == len(split.sequences[i])


def test_no_window_fits(split):
    short = type(split)(
        split.name,
        tuple(s.__class__(**{**vars(s), "features": s.features[:50]}) for s in split.sequences),
        split.stats,
    )
    with pytest.raises(DataError, match="has the 128 samples of a window"):
        predict.cut_windows(short)


def test_fir_beats_nothing_on_unseen_layers(prepared, split):
    windows = predict.cut_windows(split)
    train, val = (open_split(prepared, name) for name in ("train", "val"))
    layers = predict.lay_out(split)
    wrong = baselines.predict_fir(train, val, split, windows).layers - layers.target
    assert np.mean(wrong**2) < 0.3 * np.mean(layers.target.astype(float) ** 2)


def test_physics_knows_the_plant_that_made_the_data(split, printer):
    """The test's own integration has the printer's resonances and 0.1 mm of softer friction."""
    found = baselines.predict_physics(printer, split, predict.cut_windows(split))
    nominal = [i for i, s in enumerate(split.sequences) if s.metadata["variant"] == "a1_v1"]
    layers = predict.lay_out(split)
    for i in nominal:
        span = layers.spans[i]
        left = found.layers[span] - layers.target[span]
        assert np.mean(left[200:] ** 2) < 0.1 * np.mean(layers.target[span][200:] ** 2)


def test_physics_knows_a_delay_beyond_its_equation(split, printer):
    """A delay of two samples moves what is predicted by as much as the command moved in them."""
    windows = predict.cut_windows(split)
    tiny, late = (
        baselines.predict_physics(
            replace(printer, x=replace(printer.x, delay_s=delay)), split, windows
        )
        for delay in (1e-9, 2.0 / split.stats.sample_rate_hz)
    )
    layers = predict.lay_out(split)
    for span in layers.spans[:2]:
        position, before, after = layers.position[span], tiny.layers[span], late.layers[span]
        moved = position[:-2] - position[2:]
        np.testing.assert_allclose(after[2:, 0], before[:-2, 0] + moved[:, 0], atol=3e-4)
        np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-6)
    known = baselines.predict_physics(printer, split, windows)
    wrong = np.std(known.layers - tiny.layers)
    assert wrong < 0.2 * np.std(layers.target)


def test_noise_floor_is_that_of_jitter_alone(split, printer):
    layers = predict.lay_out(split)
    floor = baselines.measure_noise_floor(printer, layers)
    assert 0.0003 < floor < 0.005
    assert baselines.measure_noise_floor(printer.without("jitter"), layers) == 0.0
    assert baselines.measure_noise_floor(None, layers) is None


def test_the_checkpoint_network_is_what_the_registry_builds(lstm, checkpoints):
    loaded = load_checkpoint(checkpoints["lstm"])
    rebuilt = build_network(loaded.network_config)
    rebuilt.load_state_dict(lstm.state_dict())
    features = torch.zeros(1, 4, 15)
    torch.testing.assert_close(rebuilt.eval()(features), lstm(features))


def test_a_diverged_network_is_told(split):
    class Diverged(Counter):
        def forward(self, features):
            return super().forward(features) * torch.nan

    with pytest.raises(DataError, match=r"predicts NaN or infinity.*smaller model\.optimizer\.lr"):
        predict.predict(Diverged(), split, predict.cut_windows(split))
