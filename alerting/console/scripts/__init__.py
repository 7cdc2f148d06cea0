"""The scripts of the pages: plain modules, served as they are."""
