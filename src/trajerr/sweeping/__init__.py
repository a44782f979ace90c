"""Many runs of one command: their table, their failures, and studies that choose them."""
