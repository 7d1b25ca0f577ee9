"""Where signals and pods are read: each reading is Known or Unknown, and never raises for an expected failure."""
