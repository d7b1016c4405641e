"""Policies of ds01-infra, the system that ds01 succeeds: what their keys are called today, and how they are read."""
