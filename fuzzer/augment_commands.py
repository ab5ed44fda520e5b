"""`holdfast augment`: training environments and data, and the split that keeps the test honest."""

import click

from fuzzer.augment_environments_command import environments
from fuzzer.augment_sample_command import sample


@click.group()
def augment() -> None:
    """Training environments and datasets, with a split that keeps the test honest."""


for command in (environments, sample):
    augment.add_command(command)
