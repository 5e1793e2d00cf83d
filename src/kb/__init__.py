"""kb turns private documents into a model that knows them, and proves what the model kept."""

__version__ = "0.1.0"
