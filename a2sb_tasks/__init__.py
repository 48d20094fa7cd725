"""The paper's parts as plugins: everything but the network."""
