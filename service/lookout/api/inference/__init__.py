"""The Open Inference Protocol (KServe's v2, as Triton speaks it): what its bodies hold, without the network."""
