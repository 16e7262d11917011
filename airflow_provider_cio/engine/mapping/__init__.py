"""Rows become operations.

Each kind of query has a file with its `Query` and its `Mapper`: `people`, `objects`, `relationships`. To add
a kind, add such a file, export its query from the engine, and add a line to the table in
`operators/queries.py`.

* `columns` checks the columns of a query once.
* `mapper` turns a chunk of rows into operations, column by column, with `identifiers` and `attributes`.
* `emails`, `email_owners` and `json_values` find rows that Customer.io would drop, or that would spoil a
  batch.
* `operations` holds the structs that are sent.
"""
