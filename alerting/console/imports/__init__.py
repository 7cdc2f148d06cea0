"""Import of files in the browser and over the REST API, and the first steps of an empty console."""
