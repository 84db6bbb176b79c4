"""The domain, one file a stage, in the order of the data.

    corpus -> batches -> tasks -> (review page) -> answers -> votes -> label table -> report

Pure functions on frozen dataclasses, standard library only. Beside the stages stand `records` (reading
rows of text) and `statistics`; a stage imports only these, earlier stages and `bulkqa.errors`.
"""
