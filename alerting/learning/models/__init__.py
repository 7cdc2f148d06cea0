"""Model families, calibration, trained models and their files."""
