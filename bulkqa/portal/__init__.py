"""bulkqa's own review portal: a web app that runs under uvicorn on a laptop and in a Lambda alike."""
