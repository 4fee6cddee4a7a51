"""What a person touches: commands, the studio; it asks, prints and sets exit codes."""
