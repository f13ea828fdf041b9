"""`python -m mcdist` is `mcdist`."""

from mcdist.cli import main

main()
