"""The room of samples: codes, files, rates, levels."""
