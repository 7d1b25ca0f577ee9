"""What the best possible scaling of a pool would have cost, had all arrivals been known: the limit nobody beats."""
