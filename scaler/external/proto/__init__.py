"""KEDA's external scaler protocol: the ``.proto`` and the Python modules generated from it."""
