"""How controls are made."""
