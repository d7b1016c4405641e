"""Steps that several container commands share: adoption, start, queue, stop, shell."""
