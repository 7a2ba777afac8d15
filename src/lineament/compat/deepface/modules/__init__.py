"""The modules of deepface that programs import by themselves."""
