"""The trained network: what it starts from, its checkpoints, its teacher, and its export."""
