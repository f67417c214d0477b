"""Films and the speech for them, before a run: are they fit, and are they numbered alike?"""
