"""Components of the paper except for the network, and additional components."""
