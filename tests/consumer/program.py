"""The Python package as installed: averages rank + 1 over all ranks."""
import sys

import kolo
import numpy

with kolo.init() as job:
    average = job.allreduce(numpy.array([job.rank + 1], numpy.float32))
    # In one write, so that the ranks' lines do not mix.
    sys.stdout.write(f"rank {job.rank} of {job.size}: average {average[0]:g}\n")
