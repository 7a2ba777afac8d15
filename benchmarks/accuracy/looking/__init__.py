"""What the benchmark of attributes looks at: names, labels by eye, eyes that were moved."""
