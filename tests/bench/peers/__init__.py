"""Other servers, measured beside this one by the same method. They come from their registries when they are measured."""
