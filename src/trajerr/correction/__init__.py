"""G-code whose walls come out where they should: the iteration, and its pieces as text."""
