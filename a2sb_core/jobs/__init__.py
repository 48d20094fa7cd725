"""Jobs of the page and the service: their queue, their workers, and limits of visitors."""
