"""A SLURM on this machine's loopback, for tests of what is submitted to clusters."""
