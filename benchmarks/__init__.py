"""How fast is it, side by side with what one would use instead."""
