"""The edge where what people write becomes the values the rest of the house works with."""
