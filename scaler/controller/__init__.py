"""The Kubernetes side: what is true in the cluster, and what is done there. Kubernetes objects stop here."""
