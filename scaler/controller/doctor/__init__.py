"""What could still take a pod away, read from a cluster: facts gathered once, and each check a small function."""
