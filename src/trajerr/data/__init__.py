"""Records of motion to features, files, splits and batches; knows no network."""
