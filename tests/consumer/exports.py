#!/usr/bin/python3
"""exports.py LIBRARY HEADER MAP: the library exports the functions of the header, all and nothing else; the map agrees."""
import re
import subprocess
import sys
from pathlib import Path

library, header, version_map = sys.argv[1:]
text = re.sub(r"/\*.*?\*/", "", Path(header).read_text(encoding="utf-8"), flags=re.DOTALL)
declared = set(re.findall(r"KOLO_API\b[^;({]*?\b(kolo_\w+)\s*\(", text))
mapped = set(re.findall(r"^\s+(kolo_\w+);$", Path(version_map).read_text(encoding="utf-8"), flags=re.MULTILINE))
symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
# "0000 T kolo_init@@KOLO_1"; the version node itself is an absolute symbol.
exported = {fields[2].split("@")[0] for fields in map(str.split, symbols.splitlines()) if fields[1] != "A"}

failed = False
for name, found in (("the version map", mapped), ("the library", exported)):
    if found != declared:
        failed = True
        print(f"{name} lacks: {sorted(declared - found)}; has too much: {sorted(found - declared)}")
# Room for static thread-local storage is scarce in a process that loads the library late, or twice.
dynamic = subprocess.run(["readelf", "--dynamic", "--wide", library], capture_output=True, text=True, check=True).stdout
if "STATIC_TLS" in dynamic:
    failed = True
    print("the library asks for static thread-local storage, so dlopen may fail")
if not declared:
    sys.exit(f"{header} declares nothing")
print(f"{len(declared)} functions")
sys.exit(failed)
