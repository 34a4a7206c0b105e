"""Does the MiniGPT-4 family learn reverse design here, through its projection alone?

A small vision encoder and a small language model are pre-trained on generated pictures and their
captions, and frozen. Then `train reverse_design` fine-tunes the projection between them.
"""
