"""A site that raises whatever it is asked to, wherever its code is called."""
