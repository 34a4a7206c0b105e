"""The reasoned plan: what an instruction means for a picture, as a document that is carried out.

A language model that sees the picture writes it, the user may change it, and nothing of the picture
is touched before.
"""
