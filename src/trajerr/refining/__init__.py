"""A network trained on its own corrections, until it is right about them."""
