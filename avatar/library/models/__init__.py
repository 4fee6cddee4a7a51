"""The published networks on this machine: what can be had, what is installed, what was built."""
