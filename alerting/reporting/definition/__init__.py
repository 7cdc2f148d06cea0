"""Figures and conclusions of one definition: outcomes, money, operators, model, data."""
