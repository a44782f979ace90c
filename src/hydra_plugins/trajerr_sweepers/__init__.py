"""What trajerr adds to Hydra itself."""
