"""The slicer's post-processing script ``trajerr-post``: a file corrected in its place.

Knows options, the slicers' environment and what people read afterwards; how a file is corrected
is known below. Neither Hydra nor torch.
"""
