"""The HTTP side: health, metrics, and the API that explains. It reads the live world and changes nothing."""
