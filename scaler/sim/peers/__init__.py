"""Other autoscalers, each from its published algorithm. They share nothing with our decision but the plain types."""
