"""`holdfast augment`: training environments and data, and the split that keeps the test honest."""

import click

from fuzzer.augment_environments_command import environments


@click.group()
def augment() -> None:
    """Training environments and datasets, with a split that keeps the test honest."""


for command in (environments,):
    augment.add_command(command)
