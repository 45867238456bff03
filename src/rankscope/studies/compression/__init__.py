"""The parts of the study of compression: blocks removed, weights rounded, directions counted."""
