"""Keeps pools of AI agents on Kubernetes the right size and never takes a pod away mid-reasoning."""
