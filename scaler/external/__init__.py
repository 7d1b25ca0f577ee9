"""The KEDA side: an external scaler that answers from the board, and a client that polls as KEDA does."""
