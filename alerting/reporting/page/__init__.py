"""The page of a definition's report and its charts; the texts of decisions and routes."""
