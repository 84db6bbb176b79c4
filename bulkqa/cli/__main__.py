"""`python -m bulkqa.cli` is `bulkqa`."""

from bulkqa.cli import main

if __name__ == "__main__":
    main()
