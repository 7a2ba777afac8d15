"""Everything that is drawn.

photos     faces marked in photos, verdicts, contact sheets
charts     what all charts share, and the charts of training
figures    the charts of a measurement
plots      what the model sees
pages      pages to look at in a browser
"""
