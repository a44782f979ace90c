"""The printer: from commanded to actual motion, and its temperatures; knows no learning."""
