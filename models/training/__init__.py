"""Trains the models that Lookout serves: data, training, distillation, evaluation, export (extra ``[train]``)."""
