"""From a checkpoint to a bundle: graphs, and the proof that they compute the same."""
