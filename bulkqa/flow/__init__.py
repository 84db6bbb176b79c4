"""The domain, one file a stage, in the order of the data.

    corpus -> batches -> tasks -> (review page) -> answers -> votes -> label table -> report
    -> thresholds -> gate

    plan, costs     before a page is shown: which part of a corpus to review, and what that takes
    checks, mixing  known-answer items: on which pages they stand, and what reviewers made of them
    rounds          what a next round asks, and an image's final label
    agreement, calibration, conflicts, examples
                    what a report says beside its table
    sequential      how labels are settled that close early
    evidence, slices, limits, lookup
                    what the gate is made of: how sure a metric is, where it holds, what it has to keep

Pure functions on named tuples, standard library only. Beside the stages stand `records` (reading rows of
text), `statistics`, `bands`, and `on_disk` (what is too much for memory); a stage imports only these,
earlier stages and `bulkqa.errors`.
"""
