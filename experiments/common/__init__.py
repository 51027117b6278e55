"""What experiments share: the frame, claims, drawing, rows of the lecture, data sets, tuning, bounds, random graphs."""
