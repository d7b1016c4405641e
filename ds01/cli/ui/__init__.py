"""The terminal toolkit: output, tables, prompts, formats. Knows no session, no records and no engine."""
