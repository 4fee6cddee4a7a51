"""Finding the driver's face: MediaPipe's Face Landmarker, and the replay of recorded tracks."""
