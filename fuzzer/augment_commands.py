"""`holdfast augment`: training environments and data, and the split that keeps the test honest."""

import click

from fuzzer.augment_check_command import check
from fuzzer.augment_dataset_command import dataset
from fuzzer.augment_environments_command import environments
from fuzzer.augment_sample_command import sample
from fuzzer.augment_split_command import split
from fuzzer.augment_writing_commands import advice, documents, reasons, stories


@click.group()
def augment() -> None:
    """Training environments and datasets, with a split that keeps the test honest."""


for command in (
    *(environments, sample, dataset),
    *(advice, reasons, documents, stories),
    *(split, check),
):
    augment.add_command(command)
