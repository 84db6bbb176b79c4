"""The stack on AWS, as CDK code: `stack` wires, the other files each build one part of it.

stage        the settings of one stage, read from stages.toml
asset        what the functions run: bulkqa and the library it needs there
storage      the bucket and the label table
functions    the functions, each with a role, a log and nothing more
labeling     what Ground Truth uses: its role, the template, the event at a labeling job's end
monitoring   alarms and a dashboard
"""
