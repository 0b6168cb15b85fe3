"""The commands of textwright, one module each."""
