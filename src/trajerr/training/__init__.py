"""The LightningModule and its callbacks; knows how to train, not what the physics is."""
