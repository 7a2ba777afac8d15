"""Everything that is drawn.

photos     faces marked in photos, verdicts, sheets of crops
charts     curves of a measurement and of training
plots      what the model sees
pages      pages to look at in a browser
"""
