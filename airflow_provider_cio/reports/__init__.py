"""What people read about rejected rows.

* report         the CSV of a run with every rejection
* store          where reports are kept: a local disk or an object store
* cells          values as cells of a CSV that spreadsheets do not run
* rejection_log  the first rejections of a run in the task log
* link           the link from a task to its report
"""
