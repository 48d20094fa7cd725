"""Training of models: loop, loss, optimizer, checkpoints, validation."""
