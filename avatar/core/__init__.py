"""What every room of the program may use."""
