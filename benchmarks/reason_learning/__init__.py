"""Does ReasonPix2Pix's model learn here, and does it help that its language model sees the picture?

A tiny LLaVA, a VAE and a small InstructPix2Pix are trained on generated pictures. Then `train
reason_edit` trains the model, and its twin that reads the instruction as text alone, on sentences
which ask for different edits in different pictures, and both edit pictures that are new to them.
"""
