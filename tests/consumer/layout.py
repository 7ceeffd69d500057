#!/usr/bin/python3
"""layout.py PROGRAM: the structs of the Python package lie in memory as the C compiler lays out those of kolo.h."""
import ctypes
import json
import subprocess
import sys

from kolo import _abi

structs = json.loads(subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True).stdout)
differences = []
for name, in_c in structs.items():
    struct = getattr(_abi, name)
    in_python = {"": [0, ctypes.sizeof(struct)]}
    for field, *_ in struct._fields_:
        described = getattr(struct, field)
        in_python[field] = [described.offset, described.size]
    # As lists: the order of the fields counts too.
    if list(in_c.items()) != list(in_python.items()):
        differences.append(f"{name}:\n  C      {in_c}\n  Python {in_python}")
mirrored = {name for name, value in vars(_abi).items() if isinstance(value, type) and issubclass(value, ctypes.Structure)}
if mirrored - set(structs) - {"Structure"}:
    differences.append(f"not compared: {sorted(mirrored - set(structs))}")
print("\n".join(differences) or f"{len(structs)} structs agree")
sys.exit(bool(differences))
