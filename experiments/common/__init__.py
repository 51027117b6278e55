"""What experiments share: the frame, rows of the lecture, data sets, tuning, bounds and random graphs."""
