"""Content of trends: series of variables, events and episodes, and the catalogue of variables."""
