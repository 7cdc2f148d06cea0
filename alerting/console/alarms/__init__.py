"""Alarms for those who answer them: what is wrong now, one alarm with all that is known, mutes, the
hand-over of a shift, reports."""
