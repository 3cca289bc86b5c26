"""Interop: the program against counterparts that behave as existing programs do."""
