"""The geometry of a face that tracking, motion and drawing share."""
