"""What all commands share: definition, parser, hints, and the wording of refusals."""
