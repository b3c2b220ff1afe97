"""Visits to a hospital in a Dask data frame: tokenized partition by partition, counted by token, and
recovered for the three patients with the most visits.

    TVAULT_URL=… TVAULT_API_KEY=… python examples/dask_visits.py

Needs Dask's data frames (`pip install 'dask[dataframe]'`) and tvault with its extra `parquet`.
"""

from __future__ import annotations

from typing import Any

import dask
import pandas as pd
import pyarrow as pa
from dask import dataframe
from dask.dataframe.dispatch import make_meta

from tvault import arrow

MONTHS = 12


def visits_of(month: int) -> Any:
    """The visits of a month; patient 1 comes every day, patient 2 every second one, and so on."""
    days = [(day, patient) for day in range(1, 29) for patient in range(1, 29) if day % patient == 0]
    return pd.DataFrame(
        {
            "day": [f"2024-{month + 1:02}-{day:02}" for day, _ in days],
            "ssn": [f"900-00-{patient:04}" for _, patient in days],
            "minutes": [10 + patient for _, patient in days],
        }
    )


def converted(frame: Any, op: arrow.Operation) -> Any:
    """A pandas data frame with its `ssn` converted.  Worker processes get this function, and find the
    vault in their environment."""
    return arrow.transform(pa.Table.from_pandas(frame), ["ssn"], op).to_pandas()


def mapped(frame: Any, op: arrow.Operation) -> Any:
    """The same for every partition.

    Dask is told what comes out: it would find out with made-up values, and those would get tokens.
    """
    return frame.map_partitions(converted, op, meta=converted(make_meta(frame), op))


def main() -> None:
    """Print the patients with the most visits."""
    visits = dataframe.from_map(visits_of, range(MONTHS))
    tokens = mapped(visits, "tokenize")
    sums = tokens.groupby("ssn").minutes.agg(["count", "sum"]).reset_index()
    most = sums.rename(columns={"count": "visits", "sum": "minutes"}).nlargest(3, "visits").compute()
    for row in converted(most, "detokenize").itertuples():
        print(f"{row.ssn}  {row.visits:3} visits  {row.minutes:5} minutes")


if __name__ == "__main__":
    with dask.config.set(scheduler="processes", num_workers=2):
        main()
