"""A catalogue of few transforms, for tests in which a sweep is only the vehicle.

A draw from all of them takes twice to four times as long, and holds nothing more of the pipeline.
"""

from fuzzer.graph import Catalogue
from mutators import CATALOGUE

#: Of four families, all that the planted subjects of the tests look for among them.
FEW = Catalogue(
    [
        CATALOGUE[name]
        for name in (
            "rename_people",
            "swap_product",
            "rename_tools",
            "restyle_dates",
            "format_inbox",
        )
    ],
    CATALOGUE.pools,
)
