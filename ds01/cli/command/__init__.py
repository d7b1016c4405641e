"""What every command is made from: its definition, its parser, its hints, and the words of refusals."""
