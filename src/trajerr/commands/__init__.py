"""What every Hydra command shares: composing, building, running, one-line errors."""
