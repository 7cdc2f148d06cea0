"""Files of predict jobs: readings and scores on the disk of the home, and in an object store."""
