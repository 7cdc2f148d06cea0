"""Statistics of control charts: rules, the charted points, run lengths, and the estimation of phase
I."""
