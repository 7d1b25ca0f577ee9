"""Whether what answers at a URL keeps the gate's contract, in whatever language it is written."""
