"""The work of administrators' commands, one module each; cli parses and prints."""
