"""What is kept when processes are killed, machines stop, disks are full and files are damaged."""
