"""The fault suite: a world of real processes and servers under load, hurt at random from a seed, and judged.

    make faults ARGS="--seconds 600 --seed 7"

`world` is the installation, `workload` the entries and the edits, `storm` decides which fault comes when,
`audit` and `ledger` are what independent witnesses wrote, `judging` lays all of it before the checker, and
`report` makes the table. docs/faults.md says how to read it.
"""
