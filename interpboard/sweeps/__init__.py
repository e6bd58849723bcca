"""Any analysis over the rows of a dataset, kept as it goes, and what the rows say together.

``request`` is what is asked of every row, ``row_work`` answers it for one, ``folder`` keeps the answers,
``in_process``, ``by_processes`` and ``on_ray`` go through the rows, ``aggregate`` makes means and intervals
of them.
"""
