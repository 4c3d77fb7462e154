"""The Open Inference Protocol (KServe's v2, as Triton implements it): its bodies, tensors and statistics."""
