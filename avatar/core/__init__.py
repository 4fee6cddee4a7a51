"""What every part of the program may use; it imports no other part."""
