"""What a guided minute or a recording tells of one driver."""
