"""The command whose motion is a wanted one: iterative learning with whatever predicts motion."""
