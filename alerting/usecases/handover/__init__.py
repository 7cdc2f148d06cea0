"""The hand-over of shifts: what one shift leaves to the next, notes, signatures, and the mail."""
