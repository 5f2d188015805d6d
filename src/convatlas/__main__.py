"""`python -m convatlas`, as `torchrun -m convatlas train ...` starts it in each process."""

from convatlas.cli.main import main

if __name__ == "__main__":
    main()
