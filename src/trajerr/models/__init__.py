"""Networks, normaliser and losses, from raw features to millimetres; knows no files."""
