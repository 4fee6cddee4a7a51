"""Another face on a person in a picture: see docs/face-swap.md."""
