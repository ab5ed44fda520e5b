"""`holdfast augment`: training environments and data, and the split that keeps the test honest."""

import click

from fuzzer.augment_environments_command import environments
from fuzzer.augment_sample_command import sample
from fuzzer.augment_writing_commands import advice, documents, reasons, stories


@click.group()
def augment() -> None:
    """Training environments and datasets, with a split that keeps the test honest."""


for command in (environments, sample, advice, reasons, documents, stories):
    augment.add_command(command)
