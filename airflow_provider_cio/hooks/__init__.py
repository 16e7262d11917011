"""Connections to Customer.io."""
