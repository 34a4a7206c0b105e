"""The MiniGPT-4 family: two pictures through one frozen encoder into a frozen language model.

Azizi and Koochaki, "MiniGPT-Reverse-Designing: Predicting Image Adjustments Utilizing MiniGPT-4"
(2024), with their code and weights at VahidAz/MiniGPT-Reverse-Designing (BSD-3). The forms of
prompts and answers are theirs, the sentences are our own.
"""
