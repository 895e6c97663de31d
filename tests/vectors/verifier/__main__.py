"""Write the vectors: `python -m tests.vectors.verifier`."""

from tests.vectors.verifier.file import PATH, text

if __name__ == "__main__":
    PATH.write_text(text())
