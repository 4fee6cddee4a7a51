"""From recordings to something trained: generators, people, rendered clips."""
