"""What the learning benchmarks of MGIE and of ReasonPix2Pix share.

Small generated pictures and edits of them, a VAE and a UNet that learn from them, and how results
are scored and shown.
"""
