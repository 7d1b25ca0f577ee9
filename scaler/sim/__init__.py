"""The world without a cluster: agents, their tasks and pods, the ReplicaSet, KEDA and the HPA. One seed, one run."""
