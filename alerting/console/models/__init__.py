"""Models and trainings over HTTP: the REST API, and the pages on top of it."""
