"""Training entirely on one accelerator: pictures, crops, defects, teachers and student, all as tensor operations.

The recipe is that of `models.training.train`; on a graphics card, hundreds of epochs take minutes.
"""
