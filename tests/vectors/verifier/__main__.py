"""Write the vectors: `python -m tests.vectors.verifier`."""

from tests.vectors.verifier.file import PATH, RECALL_PATH, recall_text, text

if __name__ == "__main__":
    PATH.write_text(text())
    RECALL_PATH.write_text(recall_text())
