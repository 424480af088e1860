"""`python -m growy` is `growyd`."""

from growy.cli import main

if __name__ == "__main__":
    main(prog_name="growyd")
