"""Model families: one module for each, behind one contract; `registry` finds them by name."""
