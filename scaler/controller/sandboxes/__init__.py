"""Warm pools of agent-sandbox: claims counted as they arrive, pools kept at the size they ask for, claims protected."""
