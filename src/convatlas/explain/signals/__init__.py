"""What separated signals are worth: evaluation on mixtures whose voices are known."""
