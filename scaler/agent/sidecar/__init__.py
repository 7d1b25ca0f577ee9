"""The gate before any HTTP agent, which then needs not know of it: ``scaler gate --upstream URL``."""
