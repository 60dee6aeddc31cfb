"""Prints how many test cases of a JUnit file passed and how many failed. Skipped ones are neither."""

import sys
from xml.etree import ElementTree

passed = failed = 0
for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
    outcomes = {child.tag for child in case}
    if outcomes & {"failure", "error"}:
        failed += 1
    elif "skipped" not in outcomes:
        passed += 1
print(passed, failed)
