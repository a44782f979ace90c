"""One sample at a time gives what whole windows give, and keeps its memory to itself."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trajerr.bundle.manifest import ONNX_STEP
from trajerr.bundle.sessions import CPU, open_session
from trajerr.bundle.streaming import StreamingPredictor
from trajerr.errors import DataError
from trajerr.gcode.parts import load_part
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

TOLERANCE_MM = 1e-4


def test_a_whole_layer_streams_as_it_is_predicted(predictor, exported):
    planned = plan(load_part("tugboat"), predictor.limits)
    layer = predictor.predict_layer(planned, 2)
    assert len(layer.time) > 2000
    start, stop = planned.layer_span(2)
    before = sample(planned, 200.0, 0.0, stop)  # the stream has seen the print from its start
    stream = predictor.stream()
    streamed = np.array([stream.update(position) for position in before.position])
    streamed = streamed[before.time >= start - 1e-9]
    np.testing.assert_allclose(streamed[:, 0], layer.error_x, rtol=0.0, atol=TOLERANCE_MM)
    np.testing.assert_allclose(streamed[:, 1], layer.error_y, rtol=0.0, atol=TOLERANCE_MM)
    assert np.ptp(layer.error_x) > 100 * TOLERANCE_MM


def test_a_stream_forgets_on_reset_and_only_then(predictor, real_features):
    stream = predictor.stream()
    first = [stream.update_features(row) for row in real_features[0, :20]]
    assert stream.update_features(real_features[0, 0]) != first[0]
    stream.reset()
    assert [stream.update_features(row) for row in real_features[0, :20]] == first


class ForeignSession:
    """A session as if another provider than the processor ran it."""

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_providers(self):
        return ["AbacusExecutionProvider", "CPUExecutionProvider"]

    def run_with_iobinding(self, *_):
        raise AssertionError("inputs bound before they had their values")


def test_a_stream_on_another_provider_gives_the_same(predictor, real_features):
    session = open_session(predictor.bundle.path(ONNX_STEP), 1, CPU, "sample")
    here = StreamingPredictor(session, 200.0)
    there = StreamingPredictor(ForeignSession(session), 200.0)
    for row in real_features[0, :50]:
        assert there.update_features(row) == here.update_features(row)
    here.reset()
    there.reset()
    assert there.update([1.0, 2.0, 0.2]) == here.update([1.0, 2.0, 0.2])


def test_streams_of_one_predictor_do_not_mix(predictor, real_features):
    alone = [_stepped(predictor.stream(), window[:60]) for window in real_features[:4]]
    streams = [predictor.stream() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(_stepped, streams, real_features[:4, :60]))
    assert together == alone


def _stepped(stream, rows):
    return [stream.update_features(row) for row in rows]


def test_a_bad_sample_leaves_the_stream_as_it_was(predictor):
    path = np.cumsum(np.full((9, 3), 0.1), axis=0)
    clean, disturbed = predictor.stream(), predictor.stream()
    for position in path[:-1]:
        clean.update(position)
        disturbed.update(position)
    for bad in ([1.0, np.nan, 0.0], [1.0, 2.0]):
        with pytest.raises(DataError, match="expected three finite numbers"):
            disturbed.update(bad)
    with pytest.raises(DataError, match="expected 15 finite numbers"):
        disturbed.update_features(np.zeros(14))
    assert disturbed.update(path[-1]) == clean.update(path[-1])
